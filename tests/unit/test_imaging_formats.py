"""A kept picture has the format and the size that were asked for, and tells the same of its origin in all of them."""

from io import BytesIO
from typing import Literal

import numpy as np
import pytest
from PIL import Image, ImageCms

from activities.wanted_form import WantedForm
from errors import OutputWrongSize
from imaging.enlargement import ROUNDING, check_enlarged
from imaging.fit import FittedPicture, fit

OutputFormat = Literal["png", "jpeg", "webp"]
PILLOW: dict[OutputFormat, str] = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">made by a model</x:xmpmeta>'
ORIENTATION = 0x0112


def drawn(width: int = 96, height: int = 64, *, mode: str = "RGB") -> Image.Image:
    """Colours that change slowly, so that a lossy format shows them as they are; half of it is glass with an alpha."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., 0] = np.linspace(20, 230, width).round()[None, :]
    pixels[..., 1] = np.linspace(20, 230, height).round()[:, None]
    pixels[..., 3] = 255
    pixels[: height // 2, :, 3] = 0
    return Image.fromarray(pixels).convert(mode)


def saved(picture: Image.Image, wanted: OutputFormat = "png", **more: object) -> bytes:
    out = BytesIO()
    picture.save(out, PILLOW[wanted], **more)
    return out.getvalue()


def opened(fitted: FittedPicture) -> Image.Image:
    picture = Image.open(BytesIO(fitted.body))
    picture.load()
    return picture


@pytest.mark.parametrize("delivered", PILLOW)
@pytest.mark.parametrize("wanted", PILLOW)
@pytest.mark.parametrize("size", [None, (96, 64), (48, 48)])
def test_every_format_becomes_every_other_in_exactly_the_size(
    delivered: OutputFormat, wanted: OutputFormat, size: tuple[int, int] | None
) -> None:
    fitted = fit(saved(drawn(), delivered), size, wanted)

    picture = opened(fitted)
    assert picture.format == PILLOW[wanted]
    assert fitted.content_type == f"image/{wanted}"
    assert picture.size == (fitted.width, fitted.height) == (size or (96, 64))


@pytest.mark.parametrize("wanted", ["jpeg", "webp"])
def test_a_conversion_changes_no_pixel_by_more_than_an_eye_could_see(wanted: OutputFormat) -> None:
    converted = opened(fit(saved(drawn()), None, wanted)).convert("RGB")

    difference = np.abs(np.asarray(converted, np.int16) - np.asarray(drawn(), np.int16))
    assert difference.mean() < 2
    assert difference.max() < 16


@pytest.mark.parametrize("wanted", PILLOW)
def test_a_picture_that_has_the_format_and_the_size_passes_through_byte_for_byte(wanted: OutputFormat) -> None:
    body = saved(drawn(), wanted)

    assert fit(body, (96, 64), wanted).body == body


@pytest.mark.parametrize("delivered", PILLOW)
def test_where_any_format_will_do_none_is_converted(delivered: OutputFormat) -> None:
    body = saved(drawn(), delivered)

    assert fit(body, None).body == body


@pytest.mark.parametrize("wanted", ["png", "webp"])
def test_what_shines_through_still_does(wanted: OutputFormat) -> None:
    glass = fit(saved(drawn(mode="RGBA"), "webp" if wanted == "png" else "png", lossless=True), (48, 32), wanted)

    alpha = np.asarray(opened(glass).convert("RGBA"))[..., 3]
    assert (alpha[:12].max(), alpha[20:].min()) == (0, 255)


def test_what_shines_through_becomes_white_in_a_format_without_glass() -> None:
    flat = opened(fit(saved(drawn(mode="RGBA")), None, "jpeg"))

    assert flat.mode == "RGB"
    assert np.asarray(flat)[:28].min() > 250


@pytest.mark.parametrize("wanted", PILLOW)
def test_origin_and_colour_profile_are_told_in_every_format(wanted: OutputFormat) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "a picture of a fox"
    source = saved(drawn(), "jpeg" if wanted != "jpeg" else "webp", icc_profile=profile, exif=exif, xmp=XMP)

    told = opened(fit(source, (48, 32), wanted))

    assert told.info["icc_profile"] == profile
    assert told.getexif()[0x010E] == "a picture of a fox"
    xmp = told.info["xmp"] if "xmp" in told.info else told.info["XML:com.adobe.xmp"]
    assert b"made by a model" in (xmp if isinstance(xmp, bytes) else xmp.encode())


@pytest.mark.parametrize("wanted", PILLOW)
def test_a_picture_that_lies_on_its_side_is_stood_up_once(wanted: OutputFormat) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6

    upright = opened(fit(saved(drawn(), "jpeg", exif=exif), None, wanted))

    assert upright.size == (64, 96)
    assert upright.getexif().get(ORIENTATION, 1) == 1


@pytest.mark.parametrize("delivered", [(192, 128), (192 + ROUNDING, 128 - ROUNDING)])
def test_an_enlarged_picture_is_kept_as_it_came(delivered: tuple[int, int]) -> None:
    body = saved(drawn(*delivered))

    kept = WantedForm(size=None, delivered=(192, 128)).made_from(body)

    assert (kept.body, kept.width, kept.height) == (body, *delivered)


@pytest.mark.parametrize("delivered", [(96, 64), (192, 128 + ROUNDING + 1), (384, 256)])
def test_an_enlarged_picture_of_another_size_than_was_paid_for_is_refused(delivered: tuple[int, int]) -> None:
    with pytest.raises(OutputWrongSize) as refused:
        WantedForm(size=None, delivered=(192, 128)).made_from(saved(drawn(*delivered)))

    assert refused.value.facts == {"width": delivered[0], "height": delivered[1], "wanted": "192x128"}


def test_the_exact_size_needs_no_rounding() -> None:
    check_enlarged((10, 20), (10, 20))
