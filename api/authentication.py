"""Who is calling: API keys checked against their hashes at rest, remembered for a moment."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from api.key_use import KeyUse
from api.wrong_keys import WrongKeys
from db.columns import now
from db.engine import Database
from db.keys import Caller, authenticate
from errors import TenantSuspended, Unauthenticated

REMEMBER_S = 2.0  # a revoked key works this much longer; without it every request costs one more transaction
MAX_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class _Remembered:
    """`until`: then the database is asked again; the clock is the monotonic one."""

    caller: Caller
    until: float


class Authenticator:
    """Turns an API key into its caller. Only hashes of keys are held, and never those of refused ones."""

    def __init__(
        self,
        database: Database,
        pepper: str,
        key_use: KeyUse,
        wrong_keys: WrongKeys,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._key_use = key_use
        self._wrong_keys = wrong_keys
        self._clock = clock
        self._today = today
        self._remembered: dict[bytes, _Remembered] = {}

    async def caller(self, key: str, *, address: str | None = None) -> Caller:
        """Who this key belongs to; `address`: where it came from.

        Raises Unauthenticated, TenantSuspended, DatabaseUnavailable, and RateLimited for a key that was not seen before
        from an address that many wrong keys came from.
        """
        fingerprint = hashlib.sha256(key.encode()).digest()
        known = self._remembered.get(fingerprint)
        if known is None:
            self._wrong_keys.check(address)
        elif self._still_holds(known):
            self._key_use.note(known.caller.key_id)
            return known.caller
        caller = await self._ask(key, fingerprint, address)
        self._remembered.pop(fingerprint, None)  # the newest are the last of the dictionary
        if len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[fingerprint] = _Remembered(caller, self._clock() + REMEMBER_S)
        self._key_use.note(caller.key_id)
        return caller

    def _still_holds(self, known: _Remembered) -> bool:
        expires_at = known.caller.expires_at
        return known.until > self._clock() and (expires_at is None or expires_at > self._today())

    async def _ask(self, key: str, fingerprint: bytes, address: str | None) -> Caller:
        try:
            async with self._database.statement() as session:
                return await authenticate(session, key, pepper=self._pepper, at=self._today())
        except (Unauthenticated, TenantSuspended) as refused:
            self._remembered.pop(fingerprint, None)
            if isinstance(refused, Unauthenticated):  # a suspended tenant's key is not a guessed one
                self._wrong_keys.note(address)
            raise
