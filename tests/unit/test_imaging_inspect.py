"""Files that strangers send: only whole PNG, JPEG and WebP pictures of reasonable size get past."""

import struct
import warnings
import zlib
from io import BytesIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from errors import ImageNotDecodable, ImageRejected, ImageTooLarge
from imaging import decode
from imaging.inspect import PictureFacts, inspect

MAX_BYTES = 10_000_000
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def saved(picture: Image.Image, picture_format: str, **options: object) -> bytes:
    out = BytesIO()
    picture.save(out, picture_format, **options)
    return out.getvalue()


def picture(width: int = 48, height: int = 32) -> Image.Image:
    across = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, across.rotate(180), across.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_one_bit(width: int, height: int, pixels: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def facts(data: bytes) -> PictureFacts:
    return inspect(data, max_bytes=MAX_BYTES)


WHOLE = {
    "png": saved(picture(), "PNG"),
    "jpeg": saved(picture(), "JPEG"),
    "progressive jpeg": saved(picture(), "JPEG", progressive=True),
    "webp": saved(picture(), "WEBP"),
    "lossless webp": saved(picture(), "WEBP", lossless=True),
    "webp with metadata": saved(picture(), "WEBP", xmp=b"<x/>"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_type_is_found_by_content(name: str) -> None:
    found = facts(WHOLE[name])

    kind = name.split(maxsplit=1)[0] if name.startswith(("png", "webp")) else name.rsplit(maxsplit=1)[-1]
    assert found.content_type == f"image/{'webp' if 'webp' in name else kind}"
    assert (found.width, found.height) == (48, 32)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_is_a_picture(mode: str) -> None:
    assert facts(saved(Image.new(mode, (7, 5)), "PNG")) == PictureFacts(7, 5, "image/png", "PNG")


def test_a_jpeg_for_print_is_a_picture() -> None:
    assert facts(saved(Image.new("CMYK", (7, 5)), "JPEG")).content_type == "image/jpeg"


@pytest.mark.parametrize("picture_format", ["PNG", "WEBP"])
def test_of_an_animation_the_first_picture_counts(picture_format: str) -> None:
    moving = saved(picture(), picture_format, save_all=True, append_images=[picture().rotate(90)], duration=100)

    assert (facts(moving).width, facts(moving).height) == (48, 32)


def test_a_picture_that_is_shown_sideways_has_the_size_that_people_see() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    turned = facts(saved(picture(), "JPEG", exif=exif.tobytes()))

    assert (turned.width, turned.height) == (32, 48)


def test_more_bytes_than_the_limit_are_refused() -> None:
    with pytest.raises(ImageTooLarge) as error:
        inspect(WHOLE["png"], max_bytes=len(WHOLE["png"]) - 1)

    assert error.value.facts == {"size_bytes": len(WHOLE["png"]), "max_bytes": len(WHOLE["png"]) - 1}
    assert inspect(WHOLE["png"], max_bytes=len(WHOLE["png"])).width == 48


def test_the_limits_of_pixels_are_those_that_were_given() -> None:
    assert inspect(WHOLE["png"], max_bytes=MAX_BYTES, max_pixels=48 * 32, max_side=48).width == 48
    with pytest.raises(ImageTooLarge):
        inspect(WHOLE["png"], max_bytes=MAX_BYTES, max_pixels=48 * 32 - 1)
    with pytest.raises(ImageTooLarge):
        inspect(WHOLE["png"], max_bytes=MAX_BYTES, max_side=47)


@pytest.mark.parametrize(
    "bomb",
    [
        png_of_one_bit(60_000, 60_000, b"never looked at"),
        png_of_one_bit(20_000, 100, b"never looked at"),
        b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00",
        b"RIFF\xff\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + b"\xff" * 6,
        b"RIFF\xff\x00\x00\x00WEBPVP8L\xff\x00\x00\x00\x2f\xff\xff\xff\xff",
    ],
    ids=["png", "long png", "jpeg", "webp", "lossless webp"],
)
def test_a_header_that_promises_too_many_pixels_is_refused_without_a_look_at_the_rest(bomb: bytes) -> None:
    with pytest.raises(ImageTooLarge):
        facts(bomb)


def test_a_small_file_with_a_hundred_million_pixels_is_refused() -> None:
    bomb = png_of_one_bit(10_000, 10_000, zlib.compress(bytes(10_000 * 1_251), 9))

    assert len(bomb) < 20_000
    with pytest.raises(ImageTooLarge) as error:
        facts(bomb)
    assert error.value.facts["width"] == 10_000


def test_text_that_unpacks_to_megabytes_is_refused() -> None:
    packed = chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(80_000_000), 9))
    whole = WHOLE["png"]

    with pytest.raises(ImageNotDecodable):
        facts(whole[:33] + packed + whole[33:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"just some words",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'><script>alert(1)</script></svg>",
        b"<!DOCTYPE html><html></html>",
        b"%PDF-1.7 ...",
        b"\x00\x00\x00\x20ftypheic" + bytes(50),
        saved(picture(), "GIF"),
        saved(picture(), "BMP"),
        saved(picture(), "TIFF"),
        saved(picture(), "ICO"),
        PNG_SIGNATURE,
        PNG_SIGNATURE + chunk(b"IEND", b""),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"RIFF\x04\x00\x00\x00WEBP",
        b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(30),
        png_of_one_bit(0, 10, zlib.compress(b"")),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ImageNotDecodable):
        facts(data)


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a/*" + WHOLE["jpeg"],
        b"<script>/*" + WHOLE["png"],
        PNG_SIGNATURE + WHOLE["jpeg"],
        b"\xff\xd8\xff" + WHOLE["png"],
        WHOLE["webp"][:12] + WHOLE["png"],
    ],
)
def test_a_file_with_two_faces_is_refused_when_its_first_face_is_false(data: bytes) -> None:
    with pytest.raises(ImageNotDecodable):
        facts(data)


@pytest.mark.parametrize("tail", [b"PK\x03\x04archive", b"<script>alert(1)</script>", WHOLE["jpeg"]])
def test_what_hangs_behind_a_whole_picture_does_not_change_its_type(tail: bytes) -> None:
    assert facts(WHOLE["png"] + tail).content_type == "image/png"


@pytest.mark.parametrize("name", WHOLE)
def test_a_picture_that_is_cut_off_anywhere_is_refused(name: str) -> None:
    whole = WHOLE[name]

    for end in range(len(whole)):
        with pytest.raises(ImageNotDecodable):
            facts(whole[:end])


def test_a_png_with_any_byte_changed_is_refused() -> None:
    whole = WHOLE["png"]

    for at in range(len(whole)):
        with pytest.raises(ImageRejected):
            facts(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])


@settings(max_examples=300)
@given(start=st.sampled_from([b"", PNG_SIGNATURE, b"\xff\xd8\xff", b"RIFF0000WEBP"]), rest=st.binary(max_size=200))
@example(start=b"\xff\xd8\xff", rest=b"\xff" * 50)
def test_any_bytes_are_either_a_picture_or_refused(start: bytes, rest: bytes) -> None:
    with pytest.raises(ImageRejected):
        facts(start + rest)


@settings(max_examples=300)
@given(name=st.sampled_from(sorted(WHOLE)), at=st.integers(min_value=12), noise=st.binary(min_size=1, max_size=8))
def test_damage_never_raises_anything_else(name: str, at: int, noise: bytes) -> None:
    whole = WHOLE[name]
    at %= len(whole)
    try:
        found = facts(whole[:at] + noise + whole[at + len(noise) :])
    except ImageRejected:
        return

    assert found.width > 0


def test_pillow_may_not_merely_warn_of_a_broken_picture() -> None:
    broken_exif = b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x05\x01\x12"
    data = saved(picture(), "JPEG", exif=broken_exif)

    with warnings.catch_warnings():
        warnings.resetwarnings()  # as in a process that has not asked for strictness
        decode._make_pillow_strict.cache_clear()
        with pytest.raises(ImageNotDecodable):
            facts(data)
    decode._make_pillow_strict.cache_clear()
