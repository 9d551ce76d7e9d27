"""`diorama usage` and `diorama reconcile-bill`: what they ask, and what people, machines and spreadsheets get."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.scripted_server import answer, content, scripted

PROGRAM = "from cli import main; main()"
ROOT = Path(__file__).parents[2]
FIGURES: dict[str, Any] = {
    "generations": 3,
    "pictures": 4,
    "purchases": 5,
    "failed_purchases": 1,
    "cost_usd": "0.160000",
    "own_keys_usd": "0.020000",
    "held_usd": "0.000000",
}
USAGE: dict[str, Any] = {
    "from": "2026-11-01",
    "to": "2026-11-21",
    "group_by": ["day", "user"],
    "items": [
        {"group": {"day": "2026-11-20", "user": "[ann]"}, **FIGURES},
        {"group": {"day": "2026-11-21", "user": None}, **FIGURES, "cost_usd": "0.040000"},
    ],
    "totals": FIGURES | {"generations": 6, "cost_usd": "0.200000"},
    "truncated": False,
}
COUNTS = dict.fromkeys(("only_theirs", "only_ours", "amount_differs", "not_settled"), 0)
ITEM: dict[str, Any] = {
    "verdict": "only_theirs",
    "job_id": "job-1",
    "model": "a/b",
    "at": None,
    "theirs_usd": "0.50",
    "ours_usd": None,
    "difference_usd": "0.50",
    "spend_id": None,
    "generation_id": None,
    "tenant_id": None,
    "state": None,
    "billed": None,
}
REPORT: dict[str, Any] = {
    "provider": "replicate",
    "since": "2026-11-20T00:00:00Z",
    "until": "2026-11-21T00:00:00Z",
    "lines": 3,
    "matched": 2,
    "without_cost": 0,
    "counts": COUNTS | {"only_theirs": 1},
    "theirs_usd": "0.58",
    "ours_usd": "0.08",
    "difference_usd": "0.50",
    "only_theirs_usd": "0.50",
    "only_ours_usd": "0",
    "items": [ITEM],
    "truncated": False,
}
BILL = b"id,cost\njob-1,0.50\n"
NONE_APART = REPORT | {"items": [], "counts": COUNTS, "difference_usd": "0"}


@dataclass(frozen=True)
class Called:
    """What a command did: its exit code, its words, and what it asked."""

    code: int
    out: str
    trouble: str
    asked: list[str]
    bodies: list[bytes]


async def call(answers: list[bytes], *arguments: str) -> Called:
    """Run a command against a server that gives these answers."""
    async with scripted(*answers) as script:
        where = ("--api-url", script.connection.api_url, "--api-key", "dio_key")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, *arguments, *where), cwd=ROOT, stdout=PIPE, stderr=PIPE
        )
        out, trouble = await process.communicate()
    asked = [" ".join(head.split("\r\n")[0].split(" ")[:2]) for head in script.asked]
    return Called(process.returncode or 0, out.decode(), trouble.decode(), asked, script.bodies)


def words_missing(text: str, *words: str) -> list[str]:
    return [word for word in words if word not in text]


async def test_people_see_each_group_its_cost_and_a_bar_as_long_as_that() -> None:
    done = await call([answer(200, USAGE)], "usage", "--by", "day,user", "--from", "2026-11-01")

    assert (done.code, done.asked) == (0, ["GET /v1/usage?group_by=day%2Cuser&from=2026-11-01&limit=1000"]), (
        done.trouble
    )
    assert words_missing(done.out, "2026-11-20", "[ann]", "0.1600", "0.0200", "all", "0.2000") == []
    assert [line.count("█") for line in done.out.splitlines() if "2026" in line] == [24, 6]


async def test_machines_see_one_object_a_group_and_the_totals() -> None:
    done = await call([answer(200, USAGE)], "usage", "--json")
    records = [json.loads(line) for line in done.out.splitlines()]

    assert [record["type"] for record in records] == ["usage", "usage", "totals"]
    assert records[0]["usage"] == USAGE["items"][0]
    assert records[2]["totals"] == USAGE["totals"]


async def test_a_spreadsheet_gets_all_groups_as_they_come(tmp_path: Path) -> None:
    file = tmp_path / "usage.csv"
    done = await call([content(b"day,generations\r\n2026-11-20,3\r\n")], "usage", "--csv", str(file))

    assert (done.code, file.read_bytes()) == (0, b"day,generations\r\n2026-11-20,3\r\n")
    assert "1 groups" in done.out


async def test_people_are_told_when_nothing_was_asked_for() -> None:
    done = await call([answer(200, USAGE | {"items": []})], "usage")

    assert "Nothing was asked for from 2026-11-01 to 2026-11-21." in done.out


@pytest.fixture
def bill(tmp_path: Path) -> Path:
    file = tmp_path / "bill.csv"
    file.write_bytes(BILL)
    return file


async def test_a_bill_that_differs_ends_with_1_and_says_where(bill: Path) -> None:
    done = await call([answer(200, REPORT)], "reconcile-bill", "replicate", str(bill), "--columns", "cost=Price")

    assert done.code == 1, done.trouble
    assert done.asked == ["POST /v1/operations/bills?provider=replicate&columns=cost%3DPrice"]
    assert done.bodies == [BILL]
    assert words_missing(done.out, "only on the bill", "job-1", "0.5000", "difference") == []


async def test_a_bill_that_is_like_the_ledger_ends_with_0(bill: Path) -> None:
    done = await call([answer(200, NONE_APART)], "reconcile-bill", "replicate", str(bill))

    assert (done.code, "Bill and ledger say the same." in done.out) == (0, True)


async def test_the_differences_can_be_written_to_a_file(bill: Path, tmp_path: Path) -> None:
    file = tmp_path / "differences.csv"
    differs = ITEM | {"job_id": "=1+1", "difference_usd": "-0.50", "at": "2026-11-20T10:00:00Z"}
    answers = [answer(200, REPORT | {"items": [differs]})]
    done = await call(answers, "reconcile-bill", "replicate", str(bill), "--csv", str(file), "--json")

    assert (done.code, len(done.asked)) == (1, 1), done.trouble  # each comparison is audited
    assert file.read_bytes() == (
        b"verdict,job_id,model,at,theirs_usd,ours_usd,difference_usd,spend_id,generation_id,tenant_id,state,billed\r\n"
        b"only_theirs,'=1+1,a/b,2026-11-20T10:00:00+00:00,0.50,,-0.50,,,,,\r\n"
    )
    assert [json.loads(line)["type"] for line in done.out.splitlines()] == ["difference", "compared"]


async def test_more_differences_than_an_answer_has_come_as_a_file(bill: Path, tmp_path: Path) -> None:
    file = tmp_path / "differences.csv"
    answers = [answer(200, REPORT | {"truncated": True}), content(b"verdict\r\nonly_theirs\r\n")]
    done = await call(answers, "reconcile-bill", "replicate", str(bill), "--csv", str(file))

    assert (done.code, file.read_bytes()) == (1, b"verdict\r\nonly_theirs\r\n"), done.trouble
    assert done.bodies == [BILL, BILL]


async def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    done = await call([], "reconcile-bill", "replicate", str(tmp_path / "nothing.csv"))

    assert (done.code, f"The file {tmp_path / 'nothing.csv'} cannot be read" in done.trouble) == (2, True)
    assert "environment" not in done.trouble  # no setting is to blame


async def test_what_only_our_ledger_has_is_not_among_what_is_matched(bill: Path) -> None:
    only_ours = {"ours_usd": "1.25", "only_ours_usd": "0.25", "matched": 4}
    done = await call([answer(200, REPORT | only_ours)], "reconcile-bill", "replicate", str(bill))

    assert re.search(r"matched by our ledger +4 +1\.0000", done.out), done.out


async def test_a_file_without_differences_is_not_said_to_have_them(bill: Path, tmp_path: Path) -> None:
    done = await call(
        [answer(200, NONE_APART)], "reconcile-bill", "replicate", str(bill), "--csv", str(tmp_path / "differences.csv")
    )

    assert (done.code, "All of them" in done.out) == (0, False), done.trouble
