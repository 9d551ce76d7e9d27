"""Pictures of any size become pictures of one size, and nothing else about them changes that need not."""

from hashlib import sha256
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngImageFile, PngInfo

from errors import OutputCorrupt
from imaging.crop import cover
from imaging.fit import FittedPicture, fit

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><Iptc4xmpExt:DigitalSourceType>'
    b"http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia</Iptc4xmpExt:DigitalSourceType></x:xmpmeta>"
)


def saved(picture: Image.Image, picture_format: str = "PNG", **options: object) -> bytes:
    out = BytesIO()
    picture.save(out, picture_format, **options)
    return out.getvalue()


def opened(fitted: FittedPicture) -> PngImageFile:
    picture = Image.open(BytesIO(fitted.body), formats=["PNG"])
    assert isinstance(picture, PngImageFile)
    picture.load()
    return picture


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards: every pixel tells where it was."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).round()[None, :]
    pixels[..., 1] = np.linspace(0, 255, height).round()[:, None]
    return Image.fromarray(pixels)


@st.composite
def sources_and_frames(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int]]:
    """A source, and a frame that needs at most four times as many pixels a side."""
    source = draw(st.tuples(st.integers(32, 400), st.integers(32, 400)))
    frame = draw(st.tuples(st.integers(16, 4 * source[0]), st.integers(16, 4 * source[1])))
    return source, frame


@settings(max_examples=60)
@given(sources_and_frames())
def test_any_source_gives_exactly_the_asked_pixels_and_keeps_its_centre(
    sizes: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    source, frame = sizes

    result = opened(fit(saved(gradient(*source)), frame))

    assert result.size == frame
    red, green, _ = np.asarray(result).reshape(-1, 3).mean(axis=0)
    half_a_pixel = 255 / 2 / 31  # how far a pure crop may be off, at the smallest source
    assert abs(red - 127.5) <= half_a_pixel + 1
    assert abs(green - 127.5) <= half_a_pixel + 1


@given(sources_and_frames())
def test_the_part_that_is_shown_lies_inside_and_has_the_frames_shape(
    sizes: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    (width, height), frame = sizes

    part = cover((width, height), frame)
    left, top, right, bottom = part.box

    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert (right - left) / (bottom - top) == pytest.approx(frame[0] / frame[1])
    assert left == 0 or top == 0 or part.is_pure_crop


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [None, (64, 36)])
def test_a_picture_that_has_the_size_passes_through_byte_for_byte(
    picture_format: str, size: tuple[int, int] | None
) -> None:
    data = saved(gradient(64, 36), picture_format)

    fitted = fit(data, size)

    assert fitted == FittedPicture(data, f"image/{picture_format.lower()}", 64, 36, sha256(data).hexdigest())


def test_a_pure_crop_computes_no_pixel_anew() -> None:
    source = gradient(1920, 1088)

    result = opened(fit(saved(source), (1920, 1080)))

    assert np.array_equal(np.asarray(result), np.asarray(source)[4:1084])


def test_the_sides_are_cropped_when_the_frame_is_taller() -> None:
    source = gradient(1536, 1024)

    result = opened(fit(saved(source), (1024, 1024)))

    assert np.array_equal(np.asarray(result), np.asarray(source)[:, 256:1280])


def test_the_hash_is_that_of_the_new_bytes() -> None:
    fitted = fit(saved(gradient(200, 100)), (100, 50))

    assert fitted.sha256 == sha256(fitted.body).hexdigest()
    assert (fitted.width, fitted.height, fitted.content_type) == (100, 50, "image/png")


@pytest.mark.parametrize("picture_format", ["JPEG", "WEBP"])
def test_lossy_pictures_become_png_when_their_pixels_change(picture_format: str) -> None:
    fitted = fit(saved(gradient(200, 100), picture_format), (100, 50))

    assert fitted.content_type == "image/png"
    assert opened(fitted).size == (100, 50)


def test_four_times_larger_is_the_limit() -> None:
    assert fit(saved(gradient(50, 50)), (200, 100)).width == 200
    with pytest.raises(OutputCorrupt, match="too small") as error:
        fit(saved(gradient(50, 50)), (201, 100))
    assert error.value.facts == {"width": 50, "height": 50}


@pytest.mark.parametrize(
    "data", [b"", b"Internal Server Error", saved(gradient(90, 90))[:-1], saved(gradient(90, 90), "GIF")]
)
@pytest.mark.parametrize("size", [None, (90, 90), (45, 45)])
def test_bytes_that_are_no_whole_picture_are_a_corrupt_output(data: bytes, size: tuple[int, int] | None) -> None:
    with pytest.raises(OutputCorrupt):
        fit(data, size)


@pytest.mark.parametrize("size", [(0, 10), (10, -1)])
def test_a_frame_without_area_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        fit(saved(gradient(32, 32)), size)


def test_what_a_picture_says_of_its_origin_survives_new_pixels() -> None:
    said = PngInfo()
    said.add_text("Software", "Diorama sandbox")
    said.add_text("Credit", "Toon Head, CC BY 4.0 – José 漢字")
    said.add_itxt("Title", "Grüße", lang="de", tkey="Titel")
    said.add_itxt("XML:com.adobe.xmp", XMP.decode())
    exif = Image.Exif()
    exif[0x0131] = "Diorama sandbox"

    result = opened(fit(saved(gradient(200, 100), pnginfo=said, exif=exif), (100, 50)))

    assert result.text["Software"] == "Diorama sandbox"
    assert result.text["Credit"] == "Toon Head, CC BY 4.0 – José 漢字"
    assert result.text["Title"] == "Grüße"
    assert result.info["xmp"] == XMP
    assert result.getexif()[0x0131] == "Diorama sandbox"


@pytest.mark.parametrize("picture_format", ["JPEG", "WEBP"])
def test_the_origin_survives_a_change_of_format(picture_format: str) -> None:
    exif = Image.Exif()
    exif[0x0131] = "Diorama sandbox"
    data = saved(gradient(200, 100), picture_format, xmp=XMP, exif=exif.tobytes())

    result = opened(fit(data, (100, 50)))

    assert result.info["xmp"] == XMP
    assert result.getexif()[0x0131] == "Diorama sandbox"


def test_the_comment_of_a_jpeg_becomes_text() -> None:
    result = opened(fit(saved(gradient(200, 100), "JPEG", comment="made by hand"), (100, 50)))

    assert result.text["Comment"] == "made by hand"


def test_a_colour_profile_is_kept_while_the_colours_are_those_it_speaks_of() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    coloured = opened(fit(saved(gradient(200, 100), icc_profile=profile), (100, 50)))
    grey = opened(fit(saved(gradient(200, 100).convert("L"), icc_profile=profile), (100, 50)))

    assert coloured.info["icc_profile"] == profile
    assert "icc_profile" not in grey.info


@pytest.mark.parametrize("size", [None, (64, 96), (32, 48)])
@pytest.mark.parametrize("turn", range(2, 9))
def test_the_orientation_is_applied_once(size: tuple[int, int] | None, turn: int) -> None:
    stored = gradient(96, 64) if turn >= 5 else gradient(64, 96)
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(stored, exif=exif)
    with Image.open(BytesIO(data)) as source:
        expected = ImageOps.exif_transpose(source).resize(size or (64, 96), Image.Resampling.LANCZOS)

    result = opened(fit(data, size))

    assert result.size == (size or (64, 96))
    assert 0x0112 not in result.getexif()
    assert np.abs(np.asarray(result).astype(int) - np.asarray(expected)).max() <= 2


def test_transparency_is_kept_and_leaves_no_dark_fringe() -> None:
    pixels = np.zeros((100, 100, 4), np.uint8)
    pixels[:, 50:] = (255, 200, 100, 255)  # the left half is transparent black

    result = np.asarray(opened(fit(saved(Image.fromarray(pixels)), (33, 33))))

    assert result.shape == (33, 33, 4)
    assert result[0, 0, 3] == 0
    shown = result[..., 3] > 16
    assert (result[shown][:, :3].astype(int) - (255, 200, 100)).min() >= -12


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_alpha_channel_that_hides_nothing_is_dropped(mode: str) -> None:
    opaque = gradient(100, 50).convert(mode)

    assert opened(fit(saved(opaque), (50, 25))).mode == "RGB"


def test_a_transparent_colour_of_a_palette_stays_transparent() -> None:
    flat = Image.new("P", (100, 50), 1)
    flat.putpalette([0, 0, 0, 255, 0, 0])
    flat.paste(0, (0, 0, 50, 50))

    result = np.asarray(opened(fit(saved(flat, transparency=0), (50, 25))))

    assert result[12, 2].tolist()[3] == 0
    assert result[12, 47].tolist() == [255, 0, 0, 255]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Image.new("L", (100, 50), 200), (200, 200, 200)),
        (Image.fromarray(np.full((50, 100), 51_400, np.uint16)), (200, 200, 200)),
        (Image.new("1", (100, 50), 1), (255, 255, 255)),
        (Image.new("P", (100, 50), 0), (0, 0, 0)),
    ],
    ids=["grey", "16 bits of grey", "black and white", "palette"],
)
def test_every_kind_of_pixel_becomes_eight_bit_rgb(source: Image.Image, expected: tuple[int, int, int]) -> None:
    result = opened(fit(saved(source), (50, 25)))

    assert result.mode == "RGB"
    assert result.getpixel((25, 12)) == expected


def test_the_first_picture_of_an_animation_is_taken() -> None:
    moving = saved(
        Image.new("RGB", (100, 50), "red"), save_all=True, append_images=[Image.new("RGB", (100, 50), "blue")]
    )

    assert opened(fit(moving, (50, 25))).getpixel((25, 12)) == (255, 0, 0)
