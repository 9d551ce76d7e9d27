"""The file of catalog overrides: the operator's own text stays, and what was found can be read back."""

from datetime import date
from pathlib import Path

import pytest

from errors import ConfigurationError
from providers.catalog import Catalog
from providers.override_file import MARK, Found, OverrideFile

OWN = '# mine\n[[models]]\nprovider = "openai"\nmodel = "gpt-image-2"\nautomatic = true\n'


def test_what_was_found_is_read_back_and_the_operators_own_text_stays(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    found: Found = {
        ("openai", "gpt-image-2"): {"shutdown": date(2027, 3, 1)},
        ("replicate", "openai/gpt-image-2"): {"traits": {"steps": [1, 4], "guidance": [0, 7.5]}},
    }

    OverrideFile(OWN, found).write(path)
    again = OverrideFile.read(path)

    assert again.own.strip() == OWN.strip()
    assert again.found == found


def test_the_catalog_takes_the_file_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    OverrideFile(OWN, {("openai", "gpt-image-2"): {"shutdown": date(2027, 3, 1)}}).write(path)

    entry = Catalog.load(path).entry("openai", "gpt-image-2")

    assert (entry.automatic, entry.shutdown) == (True, date(2027, 3, 1))


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    OverrideFile(OWN, {("p", "m"): {"shutdown": date(2027, 3, 1)}}).write(path)
    first = path.read_text("utf-8")

    OverrideFile.read(path).write(path)

    assert path.read_text("utf-8") == first
    assert [file.name for file in tmp_path.iterdir()] == ["catalog.toml"]


def test_a_model_about_which_nothing_is_found_any_more_has_no_row(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    OverrideFile("", {("p", "m"): {}}).write(path)

    assert path.read_text("utf-8") == f"{MARK}\n"


def test_a_file_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    assert OverrideFile.read(tmp_path / "none.toml") == OverrideFile("", {})


@pytest.mark.parametrize("below", ["[[models", "models = 3", '[[models]]\nprovider = "p"'])
def test_a_found_part_that_was_broken_by_hand_is_a_fault_of_the_configuration(tmp_path: Path, below: str) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(f"{MARK}\n{below}\n", "utf-8")

    with pytest.raises(ConfigurationError, match="cannot be read"):
        OverrideFile.read(path)


def test_a_file_that_cannot_be_written_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        OverrideFile("", {}).write(tmp_path / "no folder" / "catalog.toml")
