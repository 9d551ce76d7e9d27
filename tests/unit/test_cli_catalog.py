"""`diorama catalog list` and `check`, which ask nobody."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import app
from providers.catalog import Catalog

TODAY = datetime.now(UTC).date()


def run(*arguments: str, overrides: Path | None = None) -> Result:
    environment = {"DIORAMA_CATALOG_OVERRIDES": str(overrides) if overrides else None}
    return CliRunner().invoke(app, ["catalog", *arguments], env=environment)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "catalog.toml"


def changed(own: Path, line: str) -> Path:
    own.write_text(f'[[models]]\nprovider = "openai"\nmodel = "gpt-image-2"\n{line}\n', "utf-8")
    return own


def test_all_models_are_listed_in_their_order() -> None:
    listed = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]

    assert [(one["provider"], one["model"]) for one in listed] == [
        (entry.provider, entry.model) for entry in Catalog.load().models
    ]


def test_the_overrides_of_the_environment_are_listed(own: Path) -> None:
    result = run("list", "--json", overrides=changed(own, "preference = 1"))

    assert json.loads(result.stdout.splitlines()[0])["model"] == "gpt-image-2"


def test_a_model_that_ends_soon_is_remarked(own: Path) -> None:
    soon = TODAY + timedelta(days=20)
    result = run("check", "--json", overrides=changed(own, f"shutdown = {soon}"))

    remarks = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert f"is shut down on {soon}" in [one["what"] for one in remarks if one["model"] == "gpt-image-2"]


def test_prices_that_nobody_looked_at_for_long_are_remarked(own: Path) -> None:
    result = run("check", "--json", overrides=changed(own, f"checked = {TODAY - timedelta(days=91)}"))

    remarks = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["what"] for one in remarks if one["model"] == "gpt-image-2" and "prices" in one["what"]]


def test_a_wrong_row_is_a_usage_error_that_names_it(own: Path) -> None:
    result = run("check", overrides=changed(own, 'colour = "blue"'))

    assert result.exit_code == 2
    assert "gpt-image-2" in result.stderr
    assert "colour" in result.stderr
