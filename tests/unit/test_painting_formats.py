"""Formats, the note inside each picture, and the tiny pictures for load tests."""

import io

import pytest
from PIL import Image

from sandbox.painting import PaintBrief, paint
from sandbox.painting.brief import Drawing, OutputFormat

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
FORMATS: list[OutputFormat] = ["png", "webp", "jpeg"]
DRAWINGS: list[Drawing] = ["full", "fast"]
SOFTWARE_TAG, COPYRIGHT_TAG = 0x0131, 0x8298


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def xmp_of(picture: Image.Image) -> str:
    raw = picture.info.get("xmp", picture.info.get("XML:com.adobe.xmp", b""))
    return raw.decode() if isinstance(raw, bytes) else str(raw)


@pytest.mark.parametrize("drawing", DRAWINGS)
@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_says_that_it_is_a_sandbox_picture(output_format: OutputFormat, drawing: Drawing) -> None:
    picture = opened(paint(PaintBrief("a woman", "42", 200, 160, (), output_format, drawing)))

    assert picture.format == output_format.upper()
    assert picture.getexif()[SOFTWARE_TAG] == "Diorama sandbox"
    assert SOURCE_TYPE in xmp_of(picture)
    assert "Diorama sandbox" in xmp_of(picture)


def test_a_png_says_it_in_plain_text_chunks() -> None:
    picture = opened(paint(PaintBrief("a woman", "42", 64, 64)))

    assert picture.info["Software"] == "Diorama sandbox"
    assert picture.info["DigitalSourceType"] == SOURCE_TYPE
    assert picture.info["Seed"] == "42"


@pytest.mark.parametrize("output_format", FORMATS)
def test_an_avatar_carries_the_credit_that_its_style_asks_for(output_format: OutputFormat) -> None:
    picture = opened(paint(PaintBrief("a woman", "42", 64, 64, (), output_format)))
    credit = picture.getexif()[COPYRIGHT_TAG]

    for part in ("Johan Melin", "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"):
        assert part in credit
        assert part in xmp_of(picture)


def test_public_domain_styles_and_places_need_no_credit() -> None:
    for prompt in ("ink drawing of a man", "landscape with dunes"):
        assert COPYRIGHT_TAG not in opened(paint(PaintBrief(prompt, "42", 64, 64))).getexif()


def test_a_scene_keeps_the_credit_of_the_avatar_that_it_shows() -> None:
    avatar = paint(PaintBrief("a woman", "42", 128, 128))
    scene = opened(paint(PaintBrief("a mountain lake", "42", 128, 96, (avatar,))))

    assert "Johan Melin" in scene.getexif()[COPYRIGHT_TAG]


@pytest.mark.parametrize("output_format", FORMATS)
def test_fast_pictures_are_small_and_each_has_its_own_bytes(output_format: OutputFormat) -> None:
    files = {paint(PaintBrief("moon base", str(seed), 1536, 1024, (), output_format, "fast")) for seed in range(50)}

    assert len(files) == 50
    assert {opened(data).size for data in files} == {(96, 64)}
    assert max(len(data) for data in files) < 32_000


def test_fast_pictures_follow_the_prompt() -> None:
    briefs = [PaintBrief(prompt, "1", 512, 512, (), "png", "fast") for prompt in ("moon base", "lava", "a woman")]

    assert len({opened(paint(brief)).tobytes() for brief in briefs}) == 3
