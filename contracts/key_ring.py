"""Keys that encrypt at rest, each with an id, so that they can be changed one after the other."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from errors import ConfigurationError

KEY_BYTES: Final = 32
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """`newest`: the id of the key that encrypts; all of `keys` (32 bytes each) decrypt what was encrypted by them."""

    newest: str
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, setting: str) -> Self:
        """Reads `id:base64,...`, the newest first. Raises ConfigurationError, which names the `setting` and shows no key."""
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(text.split(","), 1):
            name, colon, encoded = entry.strip().partition(":")
            # Without a colon it is a key where an id should be, and must not be shown.
            if not colon or not _ID.fullmatch(name) or name in keys:
                raise ConfigurationError(
                    f"{setting} is not usable: its key {number} has no id of its own, as in id:base64."
                )
            keys[name] = _decoded(encoded, name, setting)
        return cls(next(iter(keys)), keys)


def _decoded(encoded: str, name: str, setting: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{setting} is not usable: the key {name} is not base64.") from None
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{setting} is not usable: the key {name} has {len(key)} bytes, and needs {KEY_BYTES}."
        )
    return key
