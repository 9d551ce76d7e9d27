import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from cli import COMMANDS, app

ROOT = Path(__file__).parents[2]
HEAVY = {"httpx", "sqlalchemy", "temporalio", "fastapi", "pydantic", "numpy", "deploy", "commands", "rich.progress"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_each_command_says_of_itself(name: str) -> None:
    module, summary = COMMANDS[name]
    application = import_module(module).app

    assert isinstance(application, typer.Typer)
    assert inspect.cleandoc(get_command(application).help or "").splitlines()[0] == summary


def test_help_names_every_command_and_the_meaning_of_every_exit_code() -> None:
    result = CliRunner().invoke(app, ["--help"])

    assert result.exit_code == 0
    assert [name for name in COMMANDS if name not in result.output] == []
    assert [code for code in ("0 ", "1 ", "2 ", "3 ", "4 ", "130 ") if code not in result.output] == []


def test_help_loads_nothing_that_is_heavy() -> None:
    program = (
        "import sys, contextlib\nimport cli\nwith contextlib.suppress(SystemExit):\n    cli.main()\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert HEAVY & set(done.stdout.splitlines()[-1].split()) == set()


def test_a_misspelt_command_is_a_usage_error_with_a_proposal() -> None:
    result = CliRunner().invoke(app, ["genrate"])

    assert result.exit_code == 2
    assert "'generate'" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])

    assert result.exit_code == 0
    assert COMMANDS[name][1].split()[0] in result.output
