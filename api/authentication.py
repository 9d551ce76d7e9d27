"""Who is calling: API keys checked against their hashes at rest, remembered for a moment."""

import hashlib
import time
from dataclasses import dataclass

from db.engine import Database
from db.keys import Caller, authenticate

REMEMBER_S = 2.0  # a revoked key works this much longer; without it every request costs one more transaction
MAX_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class _Remembered:
    caller: Caller
    until: float


class Authenticator:
    """Turns an API key into its caller. Only hashes of keys are held, and never those of refused ones."""

    def __init__(self, database: Database, pepper: str) -> None:
        self._database = database
        self._pepper = pepper
        self._remembered: dict[bytes, _Remembered] = {}

    async def caller(self, key: str) -> Caller:
        """Who this key belongs to. Raises Unauthenticated or DatabaseUnavailable."""
        fingerprint = hashlib.sha256(key.encode()).digest()
        known = self._remembered.get(fingerprint)
        if known is not None and known.until > time.monotonic():
            return known.caller
        async with self._database.transaction() as session:
            caller = await authenticate(session, key, pepper=self._pepper)
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[fingerprint] = _Remembered(caller, time.monotonic() + REMEMBER_S)
        return caller
