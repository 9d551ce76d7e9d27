"""Limit 2: a minimal Temporal workflow, one activity per picture and no ledger, in a worker process of its own.

`python -m bench.minimal_temporal --job-seconds N` is that worker: it says `ready`, and ends when its standard input does.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import uvloop
from temporalio import activity, workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.bare_pictures import BareMaker, BarePicture, Step, bare_maker
from bench.closed_loop import ChainRun, OneChain
from temporal_client import connect

QUEUE = "bench-minimal"
PROJECT = Path(__file__).parents[1]
READY = b"ready\n"


@dataclass(frozen=True, slots=True)
class PictureCall:
    """What the activity is asked for."""

    chain: str
    step: Step
    reference: str | None = None


class MinimalActivities:
    """Holds the maker."""

    def __init__(self, maker: BareMaker) -> None:
        self._maker = maker

    @activity.defn(name="bench.picture")
    async def picture(self, call: PictureCall) -> BarePicture:
        """Make one picture; a retry would buy it again."""
        return await self._maker.make(call.chain, call.step, call.reference)


@workflow.defn(name="bench.Minimal")
class Minimal:
    """An avatar, then a scene with it."""

    @workflow.run
    async def run(self, chain: str) -> tuple[str, str]:
        """The ids of the two jobs."""
        avatar = await self._picture(PictureCall(chain, "avatar"))
        scene = await self._picture(PictureCall(chain, "scene", avatar.key))
        return avatar.job_id, scene.job_id

    async def _picture(self, call: PictureCall) -> BarePicture:
        return await workflow.execute_activity_method(
            MinimalActivities.picture,
            call,
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=None,
        )


@asynccontextmanager
async def minimal_chains(environment: Mapping[str, str], job_s: float) -> AsyncIterator[tuple[OneChain, int]]:
    """A chain as one workflow, started and awaited from this process; and the process id of the worker."""
    client = await connect(environment["DIORAMA_TEMPORAL_ADDRESS"], environment["DIORAMA_TEMPORAL_NAMESPACE"])

    async def one_chain(_number: int) -> ChainRun:
        began = time.perf_counter()
        chain = uuid4().hex
        jobs = await client.execute_workflow(Minimal.run, chain, id=f"bench/{chain}", task_queue=QUEUE)
        return ChainRun(chain, time.perf_counter() - began, tuple(jobs))

    async with _worker_process(environment, job_s) as pid:
        yield one_chain, pid


@asynccontextmanager
async def _worker_process(environment: Mapping[str, str], job_s: float) -> AsyncIterator[int]:
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.minimal_temporal", "--job-seconds", str(job_s)),
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if worker.stdin is None or worker.stdout is None:
        raise RuntimeError("a process with pipes has none")
    try:
        async with asyncio.timeout(60):
            if await worker.stdout.readline() != READY:
                raise RuntimeError("the minimal worker did not start; its error is above")
        yield worker.pid
    finally:
        worker.stdin.close()
        await worker.wait()


async def work(environment: Mapping[str, str], job_s: float) -> None:
    """Work until standard input ends, with the settings of worker.py."""
    client = await connect(environment["DIORAMA_TEMPORAL_ADDRESS"], environment["DIORAMA_TEMPORAL_NAMESPACE"])
    async with bare_maker(environment, job_s) as maker:
        worker = Worker(
            client,
            task_queue=QUEUE,
            workflows=[Minimal],
            activities=[MinimalActivities(maker).picture],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_workflow_tasks=200,
            max_cached_workflows=5000,
            max_concurrent_activities=2000,
        )
        async with worker:
            sys.stdout.buffer.write(READY)
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.buffer.read)


def main() -> None:
    """Entry of the worker process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-seconds", type=float, required=True)
    uvloop.run(work(os.environ, parser.parse_args().job_seconds))


if __name__ == "__main__":
    main()
