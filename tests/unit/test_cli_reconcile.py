import json
from typing import Any

import pytest

from commands.http_client import connected
from commands.reconcile import show_round
from commands.screen import Screen
from tests.scripted_server import answer, scripted

FINDING = {
    "kind": "workflow_gone",
    "action": "reopened",
    "generation_id": "019aa5e0-0000-7000-8000-000000000001",
    "spend_id": None,
    "asset_id": None,
    "object_key": None,
    "facts": {"run": 1, "engine": "not_found"},
}


def a_report(**fields: Any) -> dict[str, Any]:
    return {"dry_run": False, "counts": {}, "items": [], "skipped": {}} | fields


async def test_a_round_is_asked_for_through_the_api() -> None:
    async with scripted(answer(200, a_report())) as script, connected(script.connection) as client:
        assert await client.reconcile(dry_run=True) == a_report()

    assert script.asked[0].startswith("POST /v1/operations/reconciliations ")


def test_people_see_what_was_found_what_was_skipped_and_how_much_more_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = a_report(counts={"workflow_gone": 3}, items=[FINDING], skipped={"objects": "storage_unavailable"})
    show_round(Screen(as_json=False), report)
    said = capsys.readouterr().out

    words = (
        "workflow_gone",
        "reopened",
        str(FINDING["generation_id"]),
        "engine not_found",
        "and 2 more",
        "objects: storage_",
    )
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (a_report(), "Nothing is astray."),
        (a_report(dry_run=True, counts={"workflow_gone": 1}, items=[FINDING]), "Nothing was changed."),
    ],
)
def test_people_are_told_when_nothing_was_done(
    capsys: pytest.CaptureFixture[str], report: dict[str, Any], words: str
) -> None:
    show_round(Screen(as_json=False), report)

    assert words in capsys.readouterr().out


def test_machines_see_one_object_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    show_round(Screen(as_json=True), a_report(counts={"workflow_gone": 1}, items=[FINDING]))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [line["type"] for line in lines] == ["finding", "reconciled"]
    assert lines[0]["finding"]["kind"] == "workflow_gone"
