"""What a new object may carry is decided before anything is sent."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.base import NewObject, object_key
from storage.limits import check_key

SHA = "ab" * 32


def test_a_key_names_tenant_generation_step_and_content() -> None:
    key = object_key(UUID(int=1), UUID(int=2), "avatar", SHA, "image/jpeg")

    assert key == f"{UUID(int=1)}/{UUID(int=2)}/avatar-abababababababab.jpg"
    check_key(key)


@pytest.mark.parametrize("value", ["Zoë", "漢字", "🎨", "two\nlines", "", " padded", "padded ", "tab\t", "\x7f"])
def test_metadata_in_anything_but_plain_ascii_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        NewObject("k", "image/png", SHA, metadata={"model": value})


@pytest.mark.parametrize("name", ["", "Model", "modèle", "a b", "-a", "a:", "sha256"])
def test_a_metadata_name_is_a_lower_case_word_and_not_the_stores_own(name: str) -> None:
    with pytest.raises(ValueError, match="metadata name"):
        NewObject("k", "image/png", SHA, metadata={name: "x"})


def test_metadata_have_a_limit_together() -> None:
    NewObject("k", "image/png", SHA, metadata={"a": "x" * 2047})
    with pytest.raises(ValueError, match="2048 bytes"):
        NewObject("k", "image/png", SHA, metadata={"a": "x" * 2000, "b": "x" * 48})


@pytest.mark.parametrize(
    "tags", [{"a": "é"}, {"a": ""}, {"": "a"}, {"a&b": "c"}, {"a": "b&c"}, {"a" * 129: "b"}, {"a": "b" * 257}]
)
def test_a_tag_that_s3_would_refuse_is_refused_at_once(tags: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="tag"):
        NewObject("k", "image/png", SHA, tags=tags)


def test_an_object_has_at_most_ten_tags() -> None:
    NewObject("k", "image/png", SHA, tags={str(number): "x" for number in range(10)})
    with pytest.raises(ValueError, match="at most 10 tags"):
        NewObject("k", "image/png", SHA, tags={str(number): "x" for number in range(11)})


@pytest.mark.parametrize("sha", ["", "AB" * 32, "ab" * 31, "xy" * 32])
def test_a_hash_is_64_lower_case_hex_digits(sha: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        NewObject("k", "image/png", sha)


@pytest.mark.parametrize("content_type", ["", "png", "image/png; charset=x", "image/png\r\nX-Evil: 1"])
def test_a_content_type_is_a_bare_media_type(content_type: str) -> None:
    with pytest.raises(ValueError, match="media type"):
        NewObject("k", content_type, SHA)


@given(st.text())
def test_a_key_that_passes_cannot_leave_its_folder(key: str) -> None:
    try:
        check_key(key)
    except ValueError:
        return

    assert key.isprintable() or not key.isascii()
    assert not {"", ".", ".."} & set(key.split("/"))
