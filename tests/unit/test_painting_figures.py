"""The given figure: cut out, recognised in the scene, and what happens when there is none."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from sandbox.painting import PaintBrief, PaintingError, UnreadableReference, paint
from sandbox.painting.figure import Cutout, cut_out, read_reference

Picture = npt.NDArray[np.uint8]


def encoded(picture: npt.NDArray[np.generic], extension: str = ".png") -> bytes:
    done, data = cv2.imencode(extension, np.asarray(picture))
    assert done
    return bytes(data.tobytes())


def decode(data: bytes) -> Picture:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


@pytest.fixture(scope="module")
def avatar() -> bytes:
    return paint(PaintBrief("woman with long ginger hair, green sweater, fair skin", "5", 512, 512))


@pytest.fixture(scope="module")
def other_avatar() -> bytes:
    return paint(PaintBrief("man with black hair, black sweater, dark skin", "5", 512, 512))


def where_figures_stand(prompt: str, first: bytes, second: bytes) -> tuple[Picture, Picture, npt.NDArray[np.bool_]]:
    """The same place with either figure, and the pixels in which the two pictures differ."""
    scenes = [decode(paint(PaintBrief(prompt, "1", 640, 360, (data,)))) for data in (first, second)]
    where = np.abs(scenes[0].astype(np.int16) - scenes[1].astype(np.int16)).max(axis=2) > 24
    return scenes[0], scenes[1], where


def share_of_hue(pixels: Picture, low: int, high: int) -> float:
    """Share of pixels (n, 3) that are coloured and have a hue (0..180) in the range."""
    hsv = cv2.cvtColor(pixels[None], cv2.COLOR_BGR2HSV)
    found = (hsv[..., 0] >= low) & (hsv[..., 0] <= high) & (hsv[..., 1] > 70) & (hsv[..., 2] > 40)
    return float(found.mean())


@pytest.mark.parametrize("seed", ["1", "2", "3", "4"])
@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp"])
def test_our_own_avatars_come_off_their_backdrop_whole(seed: str, extension: str) -> None:
    portrait = decode(paint(PaintBrief("a person, smiling", seed, 512, 512)))
    figure = cut_out(read_reference(encoded(portrait, extension), 0))

    assert figure.runs_out_below
    assert 200 < figure.cover.shape[1] < 500
    assert float((figure.cover > 0.5).mean()) > 0.45
    soft = (figure.cover > 0.1) & (figure.cover < 0.9)
    assert float(soft.mean()) < 0.03
    middle = figure.cover[:, figure.cover.shape[1] // 2]
    assert float(middle[len(middle) // 4 :].min()) > 0.98


def test_a_white_shirt_on_a_light_backdrop_keeps_no_holes() -> None:
    picture = np.full((400, 400, 3), (205, 205, 200), np.uint8)
    cv2.ellipse(picture, (200, 380), (140, 180), 0, 0, 360, (60, 60, 160), -1)
    cv2.circle(picture, (200, 330), 40, (208, 208, 203), -1)
    figure = cut_out(read_reference(encoded(picture), 0))

    assert figure.cover.shape[1] == pytest.approx(281, abs=6)


@pytest.mark.parametrize("prompt", ["a mountain lake at sunset", "rainy neon city", "moon base", "spring meadow"])
def test_the_colours_of_the_figure_are_found_where_it_stands(prompt: str, avatar: bytes, other_avatar: bytes) -> None:
    scene, other, where = where_figures_stand(prompt, avatar, other_avatar)
    lower = where.copy()
    lower[:250] = False

    assert share_of_hue(scene[where], 0, 18) > 0.2
    assert share_of_hue(scene[lower], 40, 95) > 0.6
    assert share_of_hue(scene[lower], 40, 95) > 0.3 + share_of_hue(other[lower], 40, 95)


def test_the_figure_is_cut_by_the_lower_edge_and_keeps_its_head_inside(avatar: bytes, other_avatar: bytes) -> None:
    _, _, where = where_figures_stand("moon base", avatar, other_avatar)
    rows = np.flatnonzero(where.mean(axis=1) > 0.02)

    assert rows[-1] == 359
    assert rows[0] > 360 * 0.08


def test_a_picture_with_alpha_is_used_by_its_alpha() -> None:
    picture = np.zeros((200, 160, 4), np.uint8)
    cv2.circle(picture, (80, 100), 50, (30, 60, 220, 255), -1)
    figure = cut_out(read_reference(encoded(picture), 0))

    assert figure.cover.shape == (101, 101)
    assert not figure.runs_out_below


def test_a_figure_in_a_busy_picture_is_found_by_the_border_model() -> None:
    rng = np.random.default_rng(3)
    picture = cv2.GaussianBlur(rng.integers(0, 90, (300, 400, 3), dtype=np.uint8), (0, 0), 1)
    cv2.ellipse(picture, (200, 170), (70, 110), 0, 0, 360, (60, 120, 250), -1)
    figure = cut_out(read_reference(encoded(picture), 0))

    assert figure.cover.shape[1] == pytest.approx(141, abs=24)
    assert figure.cover.shape[0] == pytest.approx(221, abs=30)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((1, 1, 3), 200, np.uint8),
        np.full((300, 300, 3), 128, np.uint8),
        np.full((3, 900, 3), 50, np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.random.default_rng(1).integers(0, 255, (120, 90, 3), dtype=np.uint8),
        np.full((40, 40), 90, np.uint8),
        np.full((40, 40, 3), 40_000, np.uint16),
    ],
    ids=["1x1", "flat", "thread", "all transparent", "noise", "grey", "16 bit"],
)
def test_a_picture_without_a_figure_is_still_used(picture: npt.NDArray[np.generic]) -> None:
    reference = encoded(picture)
    figure: Cutout = cut_out(read_reference(reference, 0))

    assert float(figure.cover.max()) > 0.9
    assert decode(paint(PaintBrief("desert", "1", 240, 160, (reference,)))).shape == (160, 240, 3)


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"GIF89a" + b"\xff" * 20])
def test_what_is_no_picture_is_refused_as_a_value_error(data: bytes) -> None:
    with pytest.raises(UnreadableReference) as refusal:
        paint(PaintBrief("desert", "1", 240, 160, (data,)))

    assert isinstance(refusal.value, PaintingError)
    assert isinstance(refusal.value, ValueError)
    assert (refusal.value.index, refusal.value.size_bytes) == (0, len(data))


def test_a_later_reference_is_checked_too(avatar: bytes) -> None:
    with pytest.raises(UnreadableReference) as refusal:
        paint(PaintBrief("desert", "1", 240, 160, (avatar, b"junk")))

    assert refusal.value.index == 1


def test_a_truncated_picture_is_refused_or_used_but_never_crashes(avatar: bytes) -> None:
    cut = (avatar[:20], avatar[: len(avatar) // 2], avatar[:-30])
    refused, painted = 0, 0
    for data in cut:
        try:
            painted += decode(paint(PaintBrief("desert", "1", 240, 160, (data,)))).shape == (160, 240, 3)
        except UnreadableReference:
            refused += 1

    assert (refused + painted, refused > 0) == (3, True)
