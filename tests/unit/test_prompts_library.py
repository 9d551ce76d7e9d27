"""The prompts that ship: sound, recognisable, within every provider's limits."""

import re
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from contracts.requests import AvatarSpec, SceneSpec
from errors import PromptError, UnknownPrompt, UnknownTheme
from prompts.library import PromptLibrary
from prompts.template import RenderedPrompt

# Words that tell each theme from all others, for people, for models and for the sandbox's painter.
TELLING = {
    "alpine-dusk": "alpine lake",
    "aurora-night": "aurora",
    "spring-meadow": "meadow",
    "desert-dunes": "dunes",
    "coral-reef": "reef",
    "neon-city": "neon",
    "autumn-forest": "autumn forest",
    "volcanic-shore": "lava",
    "moon-base": "lunar",
    "candle-library": "library",
}


@pytest.fixture(scope="module")
def library() -> PromptLibrary:
    return PromptLibrary.load()


def scene(library: PromptLibrary, theme: str, details: str = "") -> RenderedPrompt:
    return library.scene_prompt(SceneSpec(theme=theme, details=details), library.themes.get(theme))


def test_the_themes_are_listed_by_name_with_words_for_people(library: PromptLibrary) -> None:
    themes = library.themes.list()

    assert [theme.name for theme in themes] == sorted(TELLING)
    assert len({theme.title for theme in themes}) == len(TELLING)
    assert all(theme.description.endswith(".") for theme in themes)


@pytest.mark.parametrize("name", ["", "Aurora-Night", "aurora", "../themes/aurora-night"])
def test_an_unknown_theme_is_answered_with_those_that_exist(library: PromptLibrary, name: str) -> None:
    with pytest.raises(UnknownTheme) as error:
        library.themes.get(name)

    assert error.value.facts == {"theme": name, "themes": sorted(TELLING)}


@pytest.mark.parametrize("theme", TELLING)
def test_a_scene_says_plainly_which_theme_it_is_and_no_other(library: PromptLibrary, theme: str) -> None:
    words = " ".join(re.findall(r"[a-z]+", scene(library, theme).text.lower()))

    found = {name for name, telling in TELLING.items() if re.search(rf"\b{telling}\b", words)}

    assert found == {theme}


@pytest.mark.parametrize("theme", TELLING)
def test_a_scene_holds_every_part_of_its_theme(library: PromptLibrary, theme: str) -> None:
    told = library.themes.get(theme)
    text = scene(library, theme, "a small red cabin").text

    for part in (told.setting, told.light, told.palette, told.composition, *told.avoid, "a small red cabin"):
        assert part in text
    assert "{{" not in text


def test_a_scene_without_details_does_not_speak_of_them(library: PromptLibrary) -> None:
    plain = scene(library, "aurora-night").text

    assert "Also in this picture" not in plain
    assert "Also in this picture: a red cabin" in scene(library, "aurora-night", "a red cabin").text
    assert "\n\n\n" not in plain


def test_the_avatar_has_the_house_style_unless_it_asks_for_another(library: PromptLibrary) -> None:
    house = library.avatar_prompt(AvatarSpec(description="a sailor")).text
    own = library.avatar_prompt(AvatarSpec(description="a sailor", style="a linocut in two colours")).text

    assert "Character: a sailor\n" in house
    assert "polished contemporary character illustration" in house
    assert "Drawn as: a linocut in two colours\n" in own
    assert "polished contemporary" not in own


def test_orders_to_the_sandbox_pass_through(library: PromptLibrary) -> None:
    order = "a sailor [[sandbox fault=lost_response times=1]] [[sandbox duration=0.5]]"

    assert order in library.avatar_prompt(AvatarSpec(description=order)).text
    assert order in scene(library, "moon-base", order).text


def test_the_longest_request_stays_far_below_what_providers_take(library: PromptLibrary) -> None:
    longest_avatar = library.avatar_prompt(AvatarSpec(description="x" * 2000, style="y" * 1000))
    longest_scene = max(len(scene(library, theme, "z" * 1000).text) for theme in TELLING)

    assert len(longest_avatar.text) < 8_000
    assert longest_scene < 8_000


def test_the_same_files_have_the_same_hash_and_each_theme_its_own(library: PromptLibrary) -> None:
    again = PromptLibrary.load()
    hashes = {theme: scene(library, theme, "a").sha256 for theme in TELLING}

    assert hashes == {theme: scene(again, theme, "b").sha256 for theme in TELLING}
    assert len(set(hashes.values())) == len(TELLING)
    assert all(re.fullmatch("[0-9a-f]{64}", found) for found in hashes.values())


def test_a_prompt_that_does_not_exist_is_named(library: PromptLibrary) -> None:
    with pytest.raises(UnknownPrompt) as error:
        library.render("poster", {})

    assert error.value.facts == {"prompt": "poster"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("themes/desert-dunes.toml", "name = "),
        ("themes/desert-dunes.toml", 'name = "desert-dunes"\ntitle = "only a title"'),
        ("themes/renamed.toml", None),
        ("scene.md", "no front matter"),
        ("untitled.md", '+++\nname = "titled"\nversion = 1\ndescription = "x"\n+++\ntext'),
    ],
)
def test_a_folder_with_a_broken_file_is_not_loaded(tmp_path: Path, file: str, content: str | None) -> None:
    shutil.copytree(str(files("prompts")), tmp_path / "prompts")
    folder = tmp_path / "prompts"
    original = (folder / "themes" / "desert-dunes.toml").read_text("utf-8")
    (folder / file).write_text(original if content is None else content, "utf-8")

    with pytest.raises(PromptError):
        PromptLibrary.load(folder)
