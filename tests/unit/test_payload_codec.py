"""What is encrypted before the engine gets it, and what can be read again."""

import base64
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from contracts.key_ring import KeyRing
from engine.payload_codec import CIPHER, KEY_ID, EncryptedPayloads
from errors import ConfigurationError, PayloadUnreadable
from temporal_client import PLAIN, data_converter

FIRST: Final = "first:" + base64.b64encode(b"1" * 32).decode()
SECOND: Final = "second:" + base64.b64encode(b"2" * 32).decode()
PROMPT: Final = Payload(metadata={"encoding": b"json/plain"}, data=b'"a zebra on the moon"')


def ring(*keys: str) -> KeyRing:
    return KeyRing.parse(",".join(keys), setting="KEYS")


def codec(*keys: str) -> EncryptedPayloads:
    return EncryptedPayloads(ring(*keys))


@given(data=st.binary(max_size=2000), encoding=st.binary(max_size=40))
async def test_every_payload_comes_back_as_it_was(data: bytes, encoding: bytes) -> None:
    payload = Payload(metadata={"encoding": encoding}, data=data)

    assert await codec(FIRST).decode(await codec(FIRST).encode([payload])) == [payload]


async def test_neither_the_words_nor_their_kind_can_be_seen() -> None:
    (sealed,) = await codec(FIRST).encode([PROMPT])

    assert b"zebra" not in sealed.SerializeToString()
    assert b"json/plain" not in sealed.SerializeToString()
    assert dict(sealed.metadata) == {"encoding": b"binary/encrypted", CIPHER: b"AES-256-GCM", KEY_ID: b"first"}


async def test_the_same_payload_twice_looks_different() -> None:
    one, other = await codec(FIRST).encode([PROMPT, PROMPT])

    assert one.data != other.data


async def test_what_was_written_without_encryption_is_read_as_it_is() -> None:
    assert await codec(FIRST).decode([PROMPT]) == [PROMPT]


async def test_a_new_key_encrypts_while_the_old_one_still_decrypts() -> None:
    (old,) = await codec(FIRST).encode([PROMPT])
    (new,) = await codec(SECOND, FIRST).encode([PROMPT])

    assert new.metadata[KEY_ID] == b"second"
    assert await codec(SECOND, FIRST).decode([old, new]) == [PROMPT, PROMPT]


async def test_a_key_that_is_gone_is_named() -> None:
    sealed = await codec(FIRST).encode([PROMPT])

    with pytest.raises(PayloadUnreadable, match="'first'"):
        await codec(SECOND).decode(sealed)


@pytest.mark.parametrize("place", [0, 11, 12, 40, -1])
async def test_a_changed_byte_is_noticed(place: int) -> None:
    (sealed,) = await codec(FIRST).encode([PROMPT])
    changed = bytearray(sealed.data)
    changed[place] ^= 1

    with pytest.raises(PayloadUnreadable):
        await codec(FIRST).decode([Payload(metadata=sealed.metadata, data=bytes(changed))])


async def test_a_payload_cannot_be_passed_off_as_one_of_another_key() -> None:
    same = base64.b64encode(b"1" * 32).decode()
    (sealed,) = await codec(f"a:{same}").encode([PROMPT])
    sealed.metadata[KEY_ID] = b"b"

    with pytest.raises(PayloadUnreadable):
        await codec(f"b:{same}").decode([sealed])


@pytest.mark.parametrize("data", [b"", b"short"])
async def test_a_payload_that_was_cut_is_noticed(data: bytes) -> None:
    (sealed,) = await codec(FIRST).encode([PROMPT])

    with pytest.raises(PayloadUnreadable):
        await codec(FIRST).decode([Payload(metadata=sealed.metadata, data=data)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "key 1 has no id"),
        ("MTExMTEx", "key 1 has no id"),
        (f"{FIRST},:{FIRST}", "key 2 has no id"),
        (f"{FIRST},{FIRST}", "key 2 has no id of its own"),
        ("first:not base64!", "first is not base64"),
        ("first:c2hvcnQ=", "first has 5 bytes, and needs 32"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_without_showing_them(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refusal:
        ring(*text.split(","))

    assert "c2hvcnQ" not in str(refusal.value)
    assert "MTExMTEx" not in str(refusal.value)


def test_keys_are_not_shown_by_whoever_prints_the_ring() -> None:
    assert "1111" not in repr(ring(FIRST))


def test_without_keys_nothing_is_encrypted() -> None:
    assert data_converter(None) is PLAIN
    assert PLAIN.payload_codec is None
