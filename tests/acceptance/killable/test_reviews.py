"""Purchases whose answers are lost for good: people decide, over the API and the command line, and all is accounted for."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from commands.exit_codes import ExitCode
from contracts.statuses import Billed, SpendState
from db.models import Spend
from tests.acceptance.client import LONG, Diorama, Json, chain, only_avatar

ROOT = Path(__file__).parents[3]
REVIEWS = "/v1/operations/reviews"
Decide = Callable[[Diorama, Spend, str, str], Awaitable[None]]


async def by_api(diorama: Diorama, spend: Spend, action: str, job_id: str = "") -> None:
    decision = {"action": action, "note": "decided in a test"} | ({"job_id": job_id} if job_id else {})
    answer = await diorama.http.post(f"{REVIEWS}/{spend.id}", json=decision)
    assert answer.status_code == 200, answer.text


async def command(diorama: Diorama, *arguments: str) -> tuple[int, list[Json]]:
    """The exit code of `diorama reviews ...`, and the objects that it wrote."""
    where = ("--stack-dir", str(diorama.stack.root), "--json")
    program = (sys.executable, "-m", "cli", "reviews", *arguments, *where)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe)
    out, _ = await process.communicate()
    return process.returncode or 0, [json.loads(line) for line in out.splitlines()]


async def by_command(diorama: Diorama, spend: Spend, action: str, job_id: str = "") -> None:
    options = ["--note", "decided in a test", *(["--job", job_id] if job_id else [])]
    code, (said,) = await command(diorama, action.replace("_", "-"), str(spend.id), *options)
    assert (code, said["decision"]["spend_id"]) == (ExitCode.ok, str(spend.id))


EITHER_WAY = pytest.mark.parametrize("decide", [by_api, by_command])


def lost_once() -> str:
    """Words that make the sandbox hang up instead of answering, the first time that it reads them."""
    return f"{uuid4()} [[sandbox fault=lost_response times=1]]"


async def lost_scene(diorama: Diorama) -> tuple[str, Spend]:
    """A chain whose scene was bought from a provider that cannot be asked, and whose answer was lost."""
    accepted = await diorama.post(chain(scene=lost_once(), provider="openai"))
    ended = await diorama.ended(accepted["id"])
    assert (ended["status"], ended["error"]["code"]) == ("needs_review", "outcome_unknown")
    assert "operator decides" in ended["error"]["suggestion"]
    avatar, scene = await diorama.spends(accepted["id"])
    assert (avatar.state, scene.state) == (SpendState.settled, SpendState.unknown)
    return accepted["id"], scene


async def told(diorama: Diorama, generation_id: str) -> list[str]:
    async with diorama.database.transaction() as session:
        query = text("select type from event where generation_id = :id order by seq")
        return list((await (await session.connection()).execute(query, {"id": generation_id})).scalars())


async def logged(diorama: Diorama, generation_id: str) -> list[Json]:
    entries: list[Json] = (await diorama.http.get("/v1/operations/actions", params={"limit": 100})).json()["items"]
    return [entry for entry in entries if entry["generation_id"] == generation_id]


async def again_ended(diorama: Diorama, generation_id: str, *, run: int = 2) -> Json:
    """Wait for the end of a further run: the end of the one before may still be what the row says."""
    query = text("select run from generation where id = :id and finished_at is not null")

    async def run_ended() -> int | None:
        async with diorama.database.transaction() as session:
            return (await (await session.connection()).execute(query, {"id": generation_id})).scalar_one_or_none()

    await diorama.until(run_ended, lambda found: found == run, within_s=150)
    return await diorama.get(generation_id)


@EITHER_WAY
async def test_a_purchase_that_is_resubmitted_gives_the_picture_and_is_marked_as_a_possible_duplicate(
    diorama: Diorama, decide: Decide
) -> None:
    generation_id, lost = await lost_scene(diorama)
    await decide(diorama, lost, "resubmit", "")
    ended = await again_ended(diorama, generation_id)
    avatar, replaced, scene = await diorama.spends(generation_id)

    assert ended["status"] == "succeeded", ended["error"]
    assert (avatar.state, avatar.sends) == (SpendState.settled, 1)
    assert (replaced.billed, replaced.error_code) == (Billed.unknown, "purchase_replaced")
    assert (scene.billed, scene.possible_duplicate, scene.purchase) == (Billed.yes, True, 1)
    assert len(await diorama.charges(generation_id)) == 3
    assert [entry["action"] for entry in await logged(diorama, generation_id)] == ["resubmit"]


@EITHER_WAY
async def test_a_purchase_that_is_accepted_as_lost_ends_the_generation_and_takes_its_pictures_back(
    diorama: Diorama, decide: Decide
) -> None:
    generation_id, lost = await lost_scene(diorama)
    await decide(diorama, lost, "accept_lost", "")
    ended = await again_ended(diorama, generation_id)
    _, scene = await diorama.spends(generation_id)

    assert (ended["status"], ended["error"]["code"], ended["error"]["step"]) == ("failed", "purchase_lost", "scene")
    assert (scene.state, scene.billed, scene.error_code) == (SpendState.settled, Billed.unknown, "purchase_lost")
    assert [len(report["deleted_assets"]) for report in ended["rollback"]] == [0, 1]
    (entry,) = await logged(diorama, generation_id)
    assert (entry["action"], entry["note"], entry["spend_id"]) == ("accept_lost", "decided in a test", str(lost.id))
    assert (await told(diorama, generation_id))[-5:] == [
        "purchase.resolved",
        "generation.reopened",
        "generation.running",
        "picture.deleted",
        "generation.failed",
    ]


async def test_a_job_cannot_be_adopted_at_a_provider_without_jobs(diorama: Diorama) -> None:
    generation_id, lost = await lost_scene(diorama)
    body = {"action": "adopt", "job_id": "job-1", "note": "a mistake"}
    answer = await diorama.http.post(f"{REVIEWS}/{lost.id}", json=body)
    code, (trouble,) = await command(diorama, "adopt", str(lost.id), "--job", "job-1", "--note", "a mistake")
    await by_api(diorama, lost, "accept_lost")
    await again_ended(diorama, generation_id)

    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_adoptable")
    assert (code, trouble["problem"]["code"]) == (ExitCode.failed, "job_not_adoptable")
    assert [entry["action"] for entry in await logged(diorama, generation_id)] == ["accept_lost"]


async def forgotten_job(diorama: Diorama) -> tuple[str, Spend, str]:
    """A purchase with a job at the provider, of which our ledger has lost the id: its worker died, and a disk after it."""
    accepted = await diorama.post(only_avatar(LONG))
    await diorama.bought(accepted["id"])
    await diorama.stack.kill("worker")
    (spend,) = await diorama.spends(accepted["id"])
    forget = text("update spend set state = 'unknown', billed = 'unknown', provider_job_id = null where id = :id")
    async with diorama.database.transaction() as session:
        await (await session.connection()).execute(forget, {"id": spend.id})
    await diorama.wind_sandbox()
    await diorama.stack.start_service("worker")
    ended = await diorama.ended(accepted["id"], within_s=150)
    assert ended["status"] == "needs_review"
    return accepted["id"], spend, str(spend.provider_job_id)


@EITHER_WAY
async def test_a_job_that_is_adopted_gives_its_picture_and_nothing_is_bought_again(
    diorama: Diorama, decide: Decide
) -> None:
    generation_id, spend, job_id = await forgotten_job(diorama)
    reviews = (await diorama.http.get(REVIEWS)).json()["items"]
    (waiting,) = [one for one in reviews if one["generation_id"] == generation_id]
    await decide(diorama, spend, "adopt", job_id)
    ended = await again_ended(diorama, generation_id)
    (adopted,) = await diorama.spends(generation_id)

    assert set(waiting["job_ids"]) <= {job_id}  # known when the webhook came while nobody listened
    assert ended["status"] == "succeeded", ended["error"]
    assert (adopted.provider_job_id, adopted.billed, adopted.sends) == (job_id, Billed.yes, 1)
    assert len(await diorama.charges(generation_id)) == 1
    (entry,) = await logged(diorama, generation_id)
    assert entry["facts"]["job_id"] == job_id


async def test_a_job_that_the_provider_denies_brings_the_purchase_back_to_the_operators(diorama: Diorama) -> None:
    generation_id, spend, job_id = await forgotten_job(diorama)
    await by_api(diorama, spend, "adopt", "nobodysprediction0000000000")
    denied = await again_ended(diorama, generation_id)
    reviews = (await diorama.http.get(REVIEWS)).json()["items"]
    (waiting,) = [one for one in reviews if one["generation_id"] == generation_id]
    await by_api(diorama, spend, "adopt", job_id)
    ended = await again_ended(diorama, generation_id, run=3)

    assert (denied["status"], denied["error"]["code"]) == ("needs_review", "outcome_unknown")
    assert "does not know the job" in denied["error"]["detail"]
    assert (waiting["error_code"], waiting["denied_job_id"]) == ("job_not_found", "nobodysprediction0000000000")
    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.charges(generation_id)) == 1
    assert [entry["action"] for entry in await logged(diorama, generation_id)] == ["adopt", "adopt"]


async def test_of_two_operators_at_once_one_decides(diorama: Diorama) -> None:
    generation_id, lost = await lost_scene(diorama)

    async def decide(action: str) -> int:
        answer = await diorama.http.post(f"{REVIEWS}/{lost.id}", json={"action": action, "note": "at once"})
        return answer.status_code

    codes = await asyncio.gather(*(decide(action) for action in ("resubmit", "accept_lost") for _ in range(1)))
    await again_ended(diorama, generation_id)

    assert sorted(codes) == [200, 409]
    assert len(await logged(diorama, generation_id)) == 1


async def test_a_generation_whose_session_is_deleted_in_review_ends_as_canceled_and_leaves_nothing(
    diorama: Diorama,
) -> None:
    accepted = await diorama.post(chain(scene=lost_once(), provider="openai", session_id="in-review"))
    await diorama.ended(accepted["id"])
    _, lost = await diorama.spends(accepted["id"])
    assert (await diorama.http.delete("/v1/sessions/in-review")).status_code == 202
    await by_api(diorama, lost, "resubmit")

    async def status() -> str:
        async with diorama.database.transaction() as session:
            query = text("select status from generation where id = :id")
            return str((await (await session.connection()).execute(query, {"id": accepted["id"]})).scalar_one())

    assert await diorama.until(status, lambda found: found in {"canceled", "succeeded", "failed"}) == "canceled"
    assert len(await diorama.spends(accepted["id"])) == 2


async def test_the_command_line_lists_what_waits(diorama: Diorama) -> None:
    generation_id, lost = await lost_scene(diorama)
    code, waiting = await command(diorama, "list")
    await by_api(diorama, lost, "accept_lost")
    await again_ended(diorama, generation_id)
    _, after = await command(diorama, "list")

    assert code == ExitCode.ok
    assert [one["review"]["spend_id"] for one in waiting if one["type"] == "review"] == [str(lost.id)]
    assert after == []


async def test_followers_who_come_back_after_the_decision_see_all_to_the_end(diorama: Diorama) -> None:
    generation_id, lost = await lost_scene(diorama)
    path = f"/v1/generations/{generation_id}/events"
    seen: list[int] = []

    async def follow() -> Any:
        headers = {"Last-Event-ID": str(seen[-1] if seen else 0)}
        async with diorama.http.stream("GET", path, headers=headers) as answer:
            seen.extend([int(line[4:]) async for line in answer.aiter_lines() if line.startswith("id: ")])

    await follow()
    await by_api(diorama, lost, "resubmit")
    await follow()
    await again_ended(diorama, generation_id)

    assert seen == list(range(1, len(await told(diorama, generation_id)) + 1))
