import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from cli import COMMANDS
from config import Settings
from tests.documents import TABLES, with_table

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
OF_THE_COMMAND_LINE = {"DIORAMA_API_URL", "DIORAMA_API_KEY", "DIORAMA_STACK_DIR"}
NEVER = Version("0")
OF_THE_MIGRATIONS = {"DIORAMA_BOOTSTRAP_API_KEY"}


@pytest.mark.parametrize(("document", "name"), TABLES)
def test_a_table_in_a_document_is_what_the_code_says(document: str, name: str) -> None:
    text = (ROOT / document).read_text("utf-8")

    assert with_table(text, name, TABLES[document, name]()) == text, "run `make docs`"


def described_settings() -> dict[str, str]:
    rows = re.findall(
        r"^\| `(DIORAMA_\w+)` \| (.+?) \|", (ROOT / "docs/configuration.md").read_text("utf-8"), re.MULTILINE
    )
    return {name: default.strip("`") for name, default in rows}


def test_every_setting_is_described_and_nothing_else() -> None:
    settings = {f"DIORAMA_{name.upper()}" for name in Settings.model_fields}

    assert set(described_settings()) == settings | OF_THE_COMMAND_LINE | OF_THE_MIGRATIONS


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_described_default_is_the_real_one(name: str) -> None:
    field = Settings.model_fields[name]
    words = {None: "not set", "": "empty"}
    real = "must be set" if field.is_required() else words.get(field.default, str(field.default))

    assert described_settings()[f"DIORAMA_{name.upper()}"] == real


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8"))

    # The pictures of the README are made by the demo itself.
    assert [target for target in targets if "pictures/" not in target and not (document.parent / target).exists()] == []


def test_the_changelog_and_the_readme_name_commands_that_exist() -> None:
    text = "".join(path.read_text("utf-8") for path in DOCUMENTS)

    assert {name for name in re.findall(r"\bdiorama ([a-z]+)\b", text) if name not in COMMANDS} <= {"command"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_request_with_a_body_says_that_it_is_json(document: Path) -> None:
    """The API answers 415 otherwise, and curl by itself says that it is a form."""
    text = document.read_text("utf-8").replace("\\\n", "")
    calls = [line for line in text.splitlines() if "curl " in line and " -d " in line]

    assert [call for call in calls if "Content-Type: application/json" not in call] == []


def pinned(lock: str) -> dict[str, Version]:
    lines = re.findall(r"^([a-z0-9._-]+)(?:\[.*?\])?==([^ \\;]+)", (ROOT / lock).read_text("utf-8"), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in lines}


def wanted(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = [project["project"]["optional-dependencies"][extra] for extra in extras]
    lists = [project["project"]["dependencies"], project["dependency-groups"]["build"], *groups]
    return [Requirement(line) for lines in lists for line in lines]


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ["stack"]), ("requirements-dev.lock", ["stack", "dev"])]
)
def test_a_lock_has_a_fitting_version_of_everything_that_the_project_wants(lock: str, extras: list[str]) -> None:
    locked = pinned(lock)
    strays = [
        str(requirement)
        for requirement in wanted(*extras)
        if locked.get(canonicalize_name(requirement.name), NEVER) not in requirement.specifier
    ]

    assert strays == [], "run `make lock`"


def test_the_larger_lock_has_all_of_the_smaller_one_in_the_same_versions() -> None:
    assert pinned("requirements.lock").items() <= pinned("requirements-dev.lock").items()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_has_a_hash_for_every_package_and_names_no_server(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]

    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []
    assert "://" not in text
    assert "index-url" not in text
