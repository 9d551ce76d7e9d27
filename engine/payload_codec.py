"""What the engine keeps of our data, encrypted: it moves payloads about, and need not be able to read them."""

import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from contracts.key_ring import KeyRing
from errors import PayloadUnreadable

# The word of Temporal's own samples: its tools show such a payload as encrypted.
ENCODING: Final = b"binary/encrypted"
KEY_ID: Final = "encryption-key-id"
CIPHER: Final = "encryption-cipher"
AES_256_GCM: Final = b"AES-256-GCM"
NONCE_BYTES: Final = 12


class EncryptedPayloads(PayloadCodec):
    """AES-256-GCM under a fresh nonce for every payload.

    What was written without encryption is read as it is, so that it can be turned on while workflows run; what was
    encrypted by any key of the ring is read, too. Random nonces are safe for 2^32 payloads a key: change it now and then.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._newest = ring.newest.encode()
        self._ciphers = {name.encode(): AESGCM(key) for name, key in ring.keys.items()}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads, whole with what they say of themselves, encrypted by the newest key."""
        return [self._sealed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The payloads as they were. Raises PayloadUnreadable: the key is not here, or the bytes were changed."""
        return [self._opened(payload) for payload in payloads]

    def _sealed(self, payload: Payload) -> Payload:
        nonce = os.urandom(NONCE_BYTES)
        # The key's id is bound to the bytes: a payload cannot be passed off as one of another key.
        body = self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), self._newest)
        told = {"encoding": ENCODING, CIPHER: AES_256_GCM, KEY_ID: self._newest}
        return Payload(metadata=told, data=nonce + body)

    def _opened(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        name = payload.metadata.get(KEY_ID, b"")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise PayloadUnreadable(f"No key '{name.decode('utf-8', 'replace')[:40]}' is among the payload keys.")
        try:
            plain = cipher.decrypt(payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:], name)
        except (InvalidTag, ValueError):  # ValueError: too short for a nonce
            raise PayloadUnreadable("A payload was changed, or is not of this key.") from None
        return Payload.FromString(plain)
