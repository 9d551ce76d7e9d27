"""A new release of the worker while generations run, with the commands of docs/changing-workflows.md."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from contracts.names import workflow_id
from deploy.local import ALL, LocalStack, StackOptions
from deploy.process import Spawn
from deploy.stack_ports import find_free_port
from temporal_client import connect
from tests.acceptance.by_hand import ROOT, asked_to_stop, by_hand
from tests.acceptance.client import LONG, Diorama, Json, chain

Rows = list[tuple[str, str, int]]


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory, spawn: Spawn) -> AsyncIterator[LocalStack]:
    """A stack of its own, without a worker: its engine will know releases, which the other tests' workers do not have."""
    options = StackOptions(fsync=False, sandbox_drawing="fast", sandbox_duration_s=0.3)
    folder = tmp_path_factory.mktemp("releases")
    async with LocalStack(folder, services=ALL - {"worker"}, options=options, spawn=spawn) as stack:
        yield stack


async def worker_versions(stack: LocalStack, *arguments: str) -> tuple[int, list[Json]]:
    """`diorama worker-versions ...`: its exit code and its JSON lines."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cli", "worker-versions", *arguments, "--json"),
        env={**os.environ, **stack.environment(), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in output.splitlines()]


async def listed(stack: LocalStack) -> Rows:
    _, lines = await worker_versions(stack, "list")
    return [(line["build_id"], line["status"], line["running"]) for line in lines]


async def release_of(stack: LocalStack, generation_id: str) -> str:
    client = await connect(stack.addresses().temporal_address)
    described = await client.get_workflow_handle(workflow_id(UUID(generation_id))).describe()
    return described.raw_description.workflow_execution_info.versioning_info.deployment_version.build_id


@pytest.mark.timeout(500)
async def test_a_release_is_replaced_and_a_run_that_it_left_behind_is_moved_without_a_second_purchase(
    diorama: Diorama,
) -> None:
    stack = diorama.stack
    first = {"DIORAMA_WORKER_BUILD_ID": "r1", "DIORAMA_WORKER_PROMOTES_ITSELF": "true"}
    second = {"DIORAMA_WORKER_BUILD_ID": "r2", "DIORAMA_WORKER_HEALTH_PORT": str(find_free_port())}
    async with by_hand(stack, "worker", **first) as old_worker, by_hand(stack, "worker", **second):
        await diorama.until(lambda: listed(stack), lambda rows: ("r1", "current", 0) in rows, within_s=150)
        old = await diorama.post(chain(avatar=LONG))
        await diorama.bought(old["id"])
        promoted, _ = await worker_versions(stack, "promote", "r2")
        new = await diorama.ended((await diorama.post(chain()))["id"])

        assert (promoted, new["status"]) == (0, "succeeded")
        assert [await release_of(stack, one["id"]) for one in (old, new)] == ["r1", "r2"]
        assert ("r1", "draining", 1) in await listed(stack)
        assert (await worker_versions(stack, "drained", "r1"))[0] == 1

        assert await asked_to_stop(old_worker) == 0
        # The engine's list of runs by version comes a moment after what it lists.
        _, could = await diorama.until(
            lambda: worker_versions(stack, "move", "r1", "r2", "--dry-run"), lambda told: told[1] != [], within_s=150
        )
        assert [(line["workflow"], line["moved"], line["why"]) for line in could] == [
            (workflow_id(UUID(old["id"])), False, None)
        ]
        moved, _ = await worker_versions(stack, "move", "r1", "r2")
        await diorama.wind_sandbox()
        ended = await diorama.ended(old["id"], within_s=150)

        assert (moved, ended["status"]) == (0, "succeeded")
        assert [(spend.sends, spend.lease) for spend in await diorama.spends(old["id"])] == [(1, 2), (1, 1)]
        assert len(await diorama.charges(old["id"])) == 2


async def test_a_release_that_nobody_runs_is_refused(diorama: Diorama) -> None:
    promoted, told = await worker_versions(diorama.stack, "promote", "nobody", "--wait", "1")
    drained, _ = await worker_versions(diorama.stack, "drained", "nobody")

    assert (promoted, told[-1]["code"]) == (1, "worker_version_not_ready")
    assert drained == 2
