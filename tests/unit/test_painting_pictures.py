"""Portraits and places: what a brief decides, and that pictures really differ."""

from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from sandbox.painting import PaintBrief, UnpaintableSize, paint
from sandbox.painting.noise import rng_for
from sandbox.painting.person import read_person
from sandbox.painting.prompt_words import about_the_person, asks_for_a_place, words_of
from sandbox.painting.themes import THEMES, choose_theme

Picture = npt.NDArray[np.uint8]

PROMPTS = {
    "alpine-dusk": "A mountain lake at sunset",
    "aurora-night": "Northern lights over an arctic plain",
    "spring-meadow": "A bright spring meadow full of flowers",
    "desert-dunes": "Sand dunes of the desert in the golden hour",
    "coral-reef": "Diving over a coral reef, underwater",
    "neon-city": "A rainy neon street in the city at night",
    "autumn-forest": "An autumn forest with falling leaves",
    "volcanic-shore": "A volcano pouring lava into the sea",
    "moon-base": "A station on the moon, stars in space",
    "candle-library": "An old library by candle light",
}


def decode(data: bytes) -> Picture:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def thumb(data: bytes) -> npt.NDArray[np.float32]:
    """A 24x14 thumbnail in Lab, where distances are roughly what people see."""
    small = cv2.resize(decode(data), (24, 14), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2LAB), np.float32)


def apart(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Mean Lab distance; about 2 is the least that is noticed, 10 is plain."""
    return float(np.linalg.norm(first - second, axis=2).mean())


@pytest.fixture(scope="module")
def avatar() -> bytes:
    return paint(PaintBrief("young woman, red long hair, green sweater", "7", 384, 384))


@pytest.fixture(scope="module")
def places() -> dict[str, bytes]:
    return {name: paint(PaintBrief(f"landscape: {prompt}", "7", 480, 270)) for name, prompt in PROMPTS.items()}


def test_the_same_brief_gives_the_same_bytes(avatar: bytes) -> None:
    portrait = PaintBrief("a pilot", "1", 256, 256, output_format="webp")
    scene = PaintBrief(PROMPTS["neon-city"], "1", 320, 200, (avatar,), "jpeg")

    assert paint(portrait) == paint(portrait)
    assert paint(scene) == paint(scene)


def test_an_avatar_differs_by_seed() -> None:
    thumbs = [thumb(paint(PaintBrief("portrait of a person", seed, 256, 256))) for seed in "abcd"]

    assert min(apart(a, b) for a, b in combinations(thumbs, 2)) > 3


def test_an_avatar_differs_by_prompt() -> None:
    prompts = ["blonde woman, red jacket", "old man with a long beard", "wizard", "explorer, dark skin, blue shirt"]
    thumbs = [thumb(paint(PaintBrief(prompt, "1", 256, 256))) for prompt in prompts]

    assert min(apart(a, b) for a, b in combinations(thumbs, 2)) > 3


def test_words_of_the_prompt_decide_how_the_person_looks() -> None:
    prompt = "Old man with grey hair, dark skin, round glasses, a long beard and a navy jacket, laughing"
    person = read_person(words_of(prompt), rng_for("any"))

    assert (person.hair, person.skin, person.clothes) == ("#a9abb3", "#74462f", "#24386e")
    assert (person.glasses, person.beard, person.garment, person.mouth) == ("round", "longBeard", "openJacket", "laugh")
    assert not person.female


def test_the_clothes_of_the_prompt_are_seen_in_the_picture(avatar: bytes) -> None:
    chest = decode(avatar)[-40:-10, 170:214].reshape(-1, 3).mean(axis=0)

    blue, green, red = chest
    assert green > 1.3 * red
    assert green > 1.3 * blue


@pytest.mark.parametrize(("name", "prompt"), PROMPTS.items())
def test_a_prompt_chooses_its_theme(name: str, prompt: str) -> None:
    assert choose_theme(words_of(prompt), prompt)[0].name == name


def test_a_prompt_without_known_words_gets_a_theme_by_its_hash() -> None:
    prompts = [f"qwerty {number}" for number in range(60)]
    names = {choose_theme(words_of(prompt), prompt)[0].name for prompt in prompts}

    assert len(names) > 6
    assert choose_theme(words_of(prompts[0]), prompts[0]) == choose_theme(words_of(prompts[0]), prompts[0])


def test_every_theme_is_named_once_and_has_a_prompt_here() -> None:
    assert sorted(theme.name for theme in THEMES) == sorted(PROMPTS)


def test_every_theme_looks_different_from_every_other(places: dict[str, bytes]) -> None:
    thumbs = {name: thumb(data) for name, data in places.items()}
    distances = {(a, b): apart(thumbs[a], thumbs[b]) for a, b in combinations(thumbs, 2)}

    assert min(distances.values()) > 12, min(distances, key=lambda pair: distances[pair])


@pytest.mark.parametrize("name", PROMPTS)
def test_a_theme_varies_with_the_seed(name: str, places: dict[str, bytes]) -> None:
    other = paint(PaintBrief(f"landscape: {PROMPTS[name]}", "8", 480, 270))

    assert apart(thumb(places[name]), thumb(other)) > 2


def test_a_place_is_painted_only_when_the_prompt_plainly_asks_for_one() -> None:
    assert asks_for_a_place(words_of("a wide landscape"), 0)
    assert asks_for_a_place(words_of("volcano with lava"), 8)
    assert not asks_for_a_place(words_of("portrait of an explorer by a lake"), 2)
    assert not asks_for_a_place(words_of("something nice"), 0)


@pytest.mark.parametrize("size", [(1, 1), (16, 48), (333, 111), (200, 517), (640, 640), (2048, 1152)])
@pytest.mark.parametrize("with_figure", [False, True])
def test_pictures_have_exactly_the_size_that_was_asked_for(
    size: tuple[int, int], with_figure: bool, avatar: bytes
) -> None:
    references = (avatar,) if with_figure else ()
    picture = decode(paint(PaintBrief("a friendly person", "3", *size, references)))

    assert picture.shape[:2] == (size[1], size[0])


@pytest.mark.parametrize("size", [(0, 100), (-5, 5), (100, 301), (5000, 4000)])
def test_sizes_outside_the_limits_are_refused_with_their_numbers(size: tuple[int, int]) -> None:
    with pytest.raises(UnpaintableSize) as refusal:
        paint(PaintBrief("a person", "1", *size))

    assert (refusal.value.width, refusal.value.height) == size


def test_odd_prompts_and_seeds_are_painted() -> None:
    for prompt, seed in (("", ""), ("\ud800 \x00 <&>", "\x00\ud800]]>"), ("人物" * 500, "9" * 5000)):
        assert decode(paint(PaintBrief(prompt, seed, 64, 64))).shape == (64, 64, 3)


def test_a_prompt_in_paragraphs_is_read_for_the_person_and_not_for_the_rest() -> None:
    plain = "a young woman with long red hair and a green jacket"
    careful = (
        "Create a reference portrait.\n\n"
        f"Character: {plain}\n\n"
        "Finish: crisp outline, ink black shadows, a blue hat would be wrong.\n\n"
        "Leave out: beard, glasses, purple coat, comic."
    )

    assert about_the_person(careful) == f"Character: {plain}"
    assert about_the_person(plain) == plain
