"""`diorama tenants`, `diorama keys` and `diorama audit`, as they are typed, on a database of their own names."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from cli import app

Lines = list[dict[str, Any]]
Command = Callable[..., tuple[int, Lines]]


@pytest.fixture
def diorama(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command; its exit code, and what it says to machines."""
    needed = {
        "DATABASE_URL": postgres_url,
        "STORE_ENDPOINT": "http://127.0.0.1:9",
        "STORE_ACCESS_KEY": "nobody",
        "STORE_SECRET_KEY": "nothing",
        "API_KEY_PEPPER": "a pepper of the tests",
        "TOKEN_SECRET": "a secret of the tests",
    }
    for name, value in needed.items():
        monkeypatch.setenv(f"DIORAMA_{name}", value)

    def run(*words: str) -> tuple[int, Lines]:
        result = CliRunner().invoke(app, [*words, "--json"])
        return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]

    return run


@pytest.fixture
def name() -> str:
    return f"shop {uuid4()}"


def test_a_tenants_life_is_written_down_from_its_beginning(diorama: Command, name: str) -> None:
    made = diorama("tenants", "create", name, "--tier", "free", "--in-flight", "3")
    changed = diorama("tenants", "change", name, "--tier", "premium", "--as-tier", "in_flight")
    diorama("tenants", "suspend", name, "--note", "unpaid")
    resumed = diorama("tenants", "resume", name, "--note", "paid")
    _, decisions = diorama("audit", "--tenant", name, "--subject", "tenant")

    assert (made[0], changed[0], resumed[0]) == (0, 0, 0)
    assert made[1][0]["api_key"].startswith("dio_")
    assert (changed[1][0]["tier"], changed[1][0]["in_flight"], resumed[1][0]["suspended_at"]) == ("premium", None, None)
    assert [(entry["action"], entry["actor"], entry["note"]) for entry in decisions] == [
        ("tenant.resumed", "command", "paid"),
        ("tenant.suspended", "command", "unpaid"),
        ("tenant.changed", "command", ""),
        ("tenant.created", "command", ""),
    ]


def test_a_key_is_made_rotated_and_revoked(diorama: Command, name: str) -> None:
    _, (made,) = diorama("keys", "create", "a bot", "--tenant", name, "--scope", "read", "--expires-in-days", "30")
    rotated, (lost,) = diorama("keys", "rotate", made["api_key"])
    again, (new,) = diorama("keys", "rotate", made["id"])
    revoked, _ = diorama("keys", "revoke", new["id"])
    ended, (error,) = diorama("keys", "rotate", made["id"])
    _, valid = diorama("keys", "list", "--tenant", name)
    _, all_of_them = diorama("keys", "list", "--tenant", name, "--ended")

    assert (made["scopes"], made["operator"], new["scopes"]) == (["read"], False, ["read"])
    assert new["expires_at"] == made["expires_at"] is not None
    assert (rotated, again, revoked, ended, error["code"]) == (0, 0, 0, 2, "key_ended")
    assert [(key["id"], key["replaced_by"]) for key in valid] == [(made["id"], new["id"])]
    assert [key["id"] for key in all_of_them] == [made["id"], new["id"], lost["id"]]
    assert "digest" not in all_of_them[0]


def test_a_key_of_the_command_line_may_all_unless_it_is_said_otherwise(diorama: Command, name: str) -> None:
    _, (usual,) = diorama("keys", "create", "an admin", "--tenant", name)
    _, (operators,) = diorama("keys", "create", "an operator", "--tenant", name, "--operator")
    _, decisions = diorama("audit", "--tenant", name)

    assert (usual["scopes"], usual["operator"]) == (["generate", "read", "admin"], False)
    assert operators["operator"] is True
    assert [entry["action"] for entry in decisions] == ["key.created", "key.created", "tenant.created"]


@pytest.mark.parametrize(
    "words",
    [
        ("tenants", "suspend", "nobody", "--note", "why"),
        ("keys", "list", "--tenant", "nobody"),
        ("keys", "revoke", "000000000000"),
        ("audit", "--tenant", "nobody"),
    ],
    ids=" ".join,
)
def test_who_does_not_exist_is_said_so(diorama: Command, words: tuple[str, ...]) -> None:
    code, (error,) = diorama(*words)

    assert (code, error["code"]) == (2, "not_found")


@pytest.mark.parametrize(
    "words",
    [
        ("tenants", "create", "x" * 101),
        ("tenants", "create", " "),
        ("tenants", "create", "a", "--in-flight", "2147483648"),
        ("tenants", "change", "a", "--name", "x" * 101),
        ("tenants", "change", "a", "--in-flight", "5", "--as-tier", "in_flight"),
        ("tenants", "suspend", "a", "--note", "x" * 1001),
        ("tenants", "resume", "a", "--note", " "),
        ("keys", "create", "x" * 101),
        ("keys", "create", "a", "--tenant", "x" * 101),
        ("keys", "create", "a", "--expires-in-days", "1000000000"),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_what_no_table_takes_is_refused_before_the_database_is_asked(diorama: Command, words: tuple[str, ...]) -> None:
    assert diorama(*words) == (2, [])


def test_all_tenants_are_listed_however_many_they_are(
    diorama: Command, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.tenants.PAGE", 2)
    made = [diorama("tenants", "create", f"{name} {number}")[1][0]["id"] for number in range(5)]

    _, listed = diorama("tenants", "list")

    assert [tenant["id"] for tenant in listed][:5] == made[::-1]


def test_that_the_log_was_exported_is_written_into_it(diorama: Command, name: str, tmp_path: Path) -> None:
    diorama("tenants", "create", name)
    until = "2100-01-01"

    _, (first,) = diorama("audit", "export", str(tmp_path / "first"), "--to", until)
    _, decisions = diorama("audit", "--action", "audit.exported", "--limit", "1")

    assert first["entries"] > 0
    assert [(entry["actor"], entry["facts"]["created_before"]) for entry in decisions] == [
        ("command", "2100-01-01T00:00:00Z")
    ]


def test_two_tenants_cannot_have_one_name(diorama: Command, name: str) -> None:
    diorama("tenants", "create", name)

    code, (error,) = diorama("tenants", "create", name)

    assert (code, error["code"]) == (2, "tenant_name_taken")


def test_an_export_that_ends_before_it_begins_is_refused(diorama: Command, tmp_path: Path) -> None:
    file = tmp_path / "audit"
    code, (error,) = diorama("audit", "export", str(file), "--from", "2026-12-01", "--to", "2026-11-01")

    assert (code, error["code"], file.exists()) == (2, "command_unusable", False)


def test_an_export_that_cannot_be_written_says_so(diorama: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, (error,) = diorama("audit", "export", str(tmp_path / "file" / "audit"))

    assert (code, error["code"]) == (2, "command_unusable")
