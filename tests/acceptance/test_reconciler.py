"""One of each thing that can go astray, planted in a running stack: shown, mended, and gone."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.client import Client

from contracts.names import workflow_id
from contracts.statuses import Kind, Step
from db import assets, generations
from db.models import Asset, Generation, Spend
from deploy.local import LocalStack, StackOptions
from deploy.process import Spawn
from errors import WorkflowEnded
from providers.base import Purchase
from providers.catalog import Catalog
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from storage.base import NewObject
from temporal_client import connect
from tests.acceptance.client import Diorama, Json, chain, only_avatar

ROOT = Path(__file__).parents[2]
# Nobody mends but the test, and nothing is too young for it.
SETTINGS = {"DIORAMA_RECONCILE_EVERY_S": "3600", "DIORAMA_RECONCILE_GRACE_S": "5"}


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory, spawn: Spawn) -> AsyncIterator[LocalStack]:
    folder = tmp_path_factory.mktemp("reconciled")
    options = StackOptions(fsync=False, sandbox_drawing="fast", sandbox_duration_s=0.3, settings=SETTINGS)
    async with LocalStack(folder, options=options, spawn=spawn) as stack:
        yield stack


@dataclass(frozen=True)
class Reconciled:
    """What `diorama reconcile` said."""

    exit_code: int
    counts: dict[str, int]
    skipped: dict[str, str]
    findings: list[Json]

    def about(self, generation_id: str) -> list[tuple[str, str]]:
        return [(one["kind"], one["action"]) for one in self.findings if one["generation_id"] == generation_id]


async def reconcile(diorama: Diorama) -> Reconciled:
    told = await tried_to_reconcile(diorama)
    assert isinstance(told, Reconciled), told
    return told


async def tried_to_reconcile(diorama: Diorama, *options: str) -> Reconciled | str:
    """What the command told; when it gave up, because a server was too slow for it, its words for people."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DIORAMA_")}
    command = (sys.executable, "-P", "-m", "cli", "reconcile", "--json", "--stack-dir", str(diorama.stack.root))
    process = await asyncio.create_subprocess_exec(
        *command,
        *options,
        env={**inherited, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, words = await process.communicate()
    lines = [json.loads(line) for line in output.splitlines()]
    told = next((line for line in lines if line["type"] == "reconciled"), None)
    if told is None:
        return f"exit code {process.returncode}: {lines} {words.decode()}"
    found = [line["finding"] for line in lines if line["type"] == "finding"]
    return Reconciled(process.returncode or 0, told["counts"], told["skipped"], found)


async def row_of(diorama: Diorama, generation_id: str) -> Generation:
    async with diorama.database.transaction() as session:
        return await session.get_one(Generation, UUID(generation_id))


async def run_sql(diorama: Diorama, statement: str, **values: Any) -> None:
    async with diorama.database.transaction() as session:
        await (await session.connection()).execute(text(statement), values)


async def ended_chain(diorama: Diorama) -> str:
    accepted = await diorama.post(only_avatar())
    assert (await diorama.ended(accepted["id"]))["status"] == "succeeded"
    return str(accepted["id"])


async def plant_lost_start(diorama: Diorama) -> str:
    """A generation that the engine is said to have, and has not."""
    model = await row_of(diorama, await ended_chain(diorama))
    row = Generation(
        tenant_id=model.tenant_id,
        kind=Kind.avatar,
        request=only_avatar(),
        request_hash=sha256(b"planted").hexdigest(),
        quote_max_usd=model.quote_max_usd,
        dispatched_at=model.created_at,
    )
    async with diorama.database.transaction() as session:
        assert await generations.accept(session, row)
    await run_sql(
        diorama, "update event set created_at = now() - interval '2 minutes' where generation_id = :id", id=row.id
    )
    diorama.started.append(str(row.id))
    return str(row.id)


async def plant_terminated_run(diorama: Diorama, engine: Client) -> str:
    """A chain that was ended at the engine when it had one picture, and waited for the other."""
    accepted = await diorama.post(chain(scene="[[sandbox duration=120]]"))
    await diorama.bought(accepted["id"], "scene")
    await engine.get_workflow_handle(workflow_id(UUID(accepted["id"]))).terminate()
    return str(accepted["id"])


async def plant_unfinished_picture(diorama: Diorama) -> Asset:
    """A row that was announced after its generation had ended."""
    generation = await row_of(diorama, await ended_chain(diorama))
    row = Asset(
        tenant_id=generation.tenant_id,
        generation_id=generation.id,
        step=Step.avatar,
        key=f"{generation.tenant_id}/{generation.id}/avatar-planted.png",
        content_type="image/png",
        size_bytes=1,
        sha256="0" * 64,
        width=1,
        height=1,
    )
    async with diorama.database.transaction() as session:
        await assets.announce(session, row)
    return row


async def plant_object(diorama: Diorama) -> str:
    async def body() -> AsyncIterator[bytes]:
        yield b"stray"

    key = f"{uuid4()}/{uuid4()}/avatar-0123456789abcdef.png"
    new = NewObject(key=key, content_type="image/png", sha256=sha256(b"stray").hexdigest())
    await diorama.storage.put(new, body(), 5)
    return key


async def plant_second_job(diorama: Diorama) -> tuple[str, str]:
    """A job that the provider runs under the token of a purchase that has long ended."""
    generation_id = await ended_chain(diorama)
    diorama.started.remove(generation_id)  # the audit wants one charge a token; here a second one is the point
    (spend,) = await diorama.spends(generation_id)
    provider = ReplicateProvider(
        base_url=f"{diorama.stack.addresses().sandbox_url}/replicate",
        token=SecretStr(diorama.stack.environment()["DIORAMA_REPLICATE_API_TOKEN"]),
        catalog=Catalog.load(),
        reads=ReadQuota(60_000, burst=1000),
    )
    job = await provider.submit(_same_again(spend))
    await provider.close()
    return generation_id, job.job_id


def _same_again(spend: Spend) -> Purchase:
    return Purchase(
        token=spend.token,
        model=spend.model,
        prompt="a fox [[sandbox duration=120]]",
        quality="low",
        size=None,
        shape="square",
        references=(),
        deadline_s=300,
    )


async def test_what_went_astray_is_shown_then_mended_and_then_gone(diorama: Diorama) -> None:
    engine = await connect(diorama.stack.environment()["DIORAMA_TEMPORAL_ADDRESS"])
    terminated = await plant_terminated_run(diorama, engine)
    not_started = await plant_lost_start(diorama)
    twice_bought, job_id = await plant_second_job(diorama)
    unfinished = await plant_unfinished_picture(diorama)
    stray_key = await plant_object(diorama)
    expected = {
        "workflow_gone": 1,
        "generation_not_started": 1,
        "stray_job": 1,
        "asset_unfinished": 1,
        "object_without_row": 1,
    }

    shown = await diorama.until(
        lambda: tried_to_reconcile(diorama, "--dry-run"),
        lambda seen: isinstance(seen, Reconciled) and seen.counts == expected,
        within_s=150,
    )
    assert {one["action"] for one in shown.findings} == {"found"}
    assert (await row_of(diorama, not_started)).status == "queued"
    assert await keys(diorama) >= {stray_key}

    mended = await reconcile(diorama)
    assert (mended.exit_code, Counter(mended.counts), mended.skipped) == (0, Counter(expected), {})
    assert mended.about(twice_bought) == [("stray_job", "recorded")]

    ended = await diorama.ended(terminated)
    assert (ended["status"], ended["error"]["code"]) == ("failed", WorkflowEnded.code)
    assert (await diorama.ended(not_started))["status"] == "succeeded"
    assert stray_key not in await keys(diorama)
    async with diorama.database.transaction() as session:
        assert (await session.get_one(Asset, unfinished.id)).state == "deleted"
    assert [spend.provider_job_id for spend in await diorama.spends(twice_bought)][1:] == [job_id]
    assert (await reconcile(diorama)).counts == {}


async def keys(diorama: Diorama) -> set[str]:
    return {found.key async for found in diorama.storage.list_prefix("")}


async def test_findings_can_be_read_and_belong_to_operators_alone(diorama: Diorama) -> None:
    key = await plant_object(diorama)
    mended = await diorama.until(
        lambda: tried_to_reconcile(diorama),
        lambda seen: isinstance(seen, Reconciled) and "object_without_row" in seen.counts,
        within_s=150,
    )
    assert mended.exit_code == 0
    answer = await diorama.http.get("/v1/operations/findings", params={"kind": "object_without_row", "limit": 1})

    (item,) = answer.json()["items"]
    assert (item["object_key"], item["action"]) == (key, "removed")
    metrics = await worker_metrics(diorama)
    assert 'diorama_reconciler_findings_total{action="removed",kind="object_without_row"}' in metrics


async def worker_metrics(diorama: Diorama) -> str:
    port = diorama.stack.environment()["DIORAMA_WORKER_HEALTH_PORT"]
    return (await diorama.sandbox.get(f"http://127.0.0.1:{port}/metrics")).text


async def test_the_reconciler_runs_by_itself(diorama: Diorama) -> None:
    from contracts.names import SCHEDULE_RECONCILE

    engine = await connect(diorama.stack.environment()["DIORAMA_TEMPORAL_ADDRESS"])
    described = await engine.get_schedule_handle(SCHEDULE_RECONCILE).describe()

    assert described.schedule.spec.intervals[0].every.total_seconds() == 3600
    assert not described.schedule.state.paused
