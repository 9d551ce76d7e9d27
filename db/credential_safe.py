"""Tenants' own keys at providers, encrypted at rest: AES-256-GCM under keys of the operator's (DIORAMA_CREDENTIAL_KEYS)."""

import os
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.key_ring import KeyRing
from errors import CredentialUnreadable

NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted key, the nonce that it was encrypted under, and the id of the key that did it."""

    body: bytes
    nonce: bytes
    by: str


class CredentialSafe:
    """Seals and opens. A sealed key is bound to its tenant and provider: moved to another row it cannot be opened."""

    def __init__(self, ring: KeyRing) -> None:
        self.newest = ring.newest
        self._ciphers = {name: AESGCM(key) for name, key in ring.keys.items()}

    def sealed(self, tenant_id: UUID, provider: str, key: str) -> Sealed:
        """The key under a fresh nonce, by the newest of the operator's keys."""
        nonce = os.urandom(NONCE_BYTES)
        body = self._ciphers[self.newest].encrypt(nonce, key.encode(), _bound_to(tenant_id, provider, self.newest))
        return Sealed(body, nonce, self.newest)

    def opened(self, tenant_id: UUID, provider: str, sealed: Sealed) -> str:
        """The key. Raises CredentialUnreadable: the operator's key is not here, or the row was changed."""
        cipher = self._ciphers.get(sealed.by)
        if cipher is None:
            raise CredentialUnreadable(f"No key '{sealed.by}' is among the credential keys.")
        try:
            return cipher.decrypt(sealed.nonce, sealed.body, _bound_to(tenant_id, provider, sealed.by)).decode()
        except (InvalidTag, ValueError):  # ValueError: too short for a nonce
            raise CredentialUnreadable("A stored credential was changed, or is not of this key.") from None


def _bound_to(tenant_id: UUID, provider: str, sealed_by: str) -> bytes:
    return f"diorama/credential/{tenant_id}/{provider}/{sealed_by}".encode()
