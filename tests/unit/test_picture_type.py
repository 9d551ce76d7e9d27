"""What bytes say of themselves: their kind, and whether something of them is missing."""

from io import BytesIO

import pytest
from PIL import Image

from providers.picture_type import content_type_of, is_damaged

FORMATS = ["PNG", "JPEG", "WEBP"]


def picture(kind: str) -> bytes:
    body = BytesIO()
    Image.new("RGB", (40, 30), "teal").save(body, kind)
    return body.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_picture_is_known_by_its_kind_and_not_damaged(kind: str) -> None:
    body = picture(kind)

    assert content_type_of(body) == f"image/{kind.lower()}"
    assert not is_damaged(body)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_that_was_cut_anywhere_is_damaged(kind: str) -> None:
    body = picture(kind)

    assert all(is_damaged(body[:length]) for length in range(12, len(body)))


def test_a_png_without_its_header_is_damaged() -> None:
    body = picture("PNG")

    assert is_damaged(body[:12] + b"Z" * (len(body) - 24) + body[-12:])


@pytest.mark.parametrize("body", [b"", b"<html>", b"GIF89a..."])
def test_of_bytes_of_no_known_kind_nothing_is_said(body: bytes) -> None:
    assert content_type_of(body) == "application/octet-stream"
    assert not is_damaged(body)
