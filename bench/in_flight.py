"""Very many chains in flight in one worker, under the provider's documented read limit: memory, losses, refusals."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.audit import Audit, audited
from bench.chains import chain_client
from bench.closed_loop import ChainRun, closed_loop
from bench.percentiles import Spread
from bench.phases import SERVERS, Load, added_by
from bench.process_usage import Usage, measured
from bench.running_stack import RunningStack

# Documented for an account, for all calls but creates together.
READS_PER_MINUTE = 3000
LOOK_EVERY_S = 0.5
LIVE = ("queued", "running")
# Beyond the jobs' own time: with two reads a job, 1,000 chains need 80 s of the read limit alone.
PATIENCE_S = 240


@dataclass(frozen=True, slots=True)
class InFlightReport:
    """`most_at_once`: chains that were running at the same moment; `refused`: provider calls that came too fast."""

    load: Load
    wall_s: float
    most_at_once: int
    kept_added: Spread
    usage: Mapping[str, Usage]
    refused: int
    failures: Sequence[str]
    audit: Audit


async def in_flight_phase(stack: RunningStack, load: Load) -> InFlightReport:
    """Have `load.chains` chains accepted as fast as `at_once` callers can, and wait until none of them is live."""
    await stack.books.forget()
    await stack.books.set_pace(job_s=load.job_s, reads_per_minute=READS_PER_MINUTE)
    refused_before = await stack.books.refused_for_rate()
    began = time.perf_counter()
    async with (
        chain_client(stack.environment) as client,
        measured(stack.pids("api", "worker", "postgres", *SERVERS)) as usage,
    ):

        async def one_chain(_number: int) -> ChainRun:
            return await client.accepted()

        asked = await closed_loop(one_chain, count=load.chains, at_once=load.at_once)
        names = await stack.ledger.accepted_since(asked.began_at)
        most_at_once = await _until_none_is_live(stack, names, 2 * load.job_s + PATIENCE_S)
    return InFlightReport(
        load=load,
        wall_s=time.perf_counter() - began,
        most_at_once=most_at_once,
        kept_added=await added_by(stack, await stack.ledger.finished(names)),
        usage=usage,
        refused=await stack.books.refused_for_rate() - refused_before,
        failures=asked.failures,
        audit=await audited(names, asked=load.chains, ledger=stack.ledger, books=stack.books, storage=stack.storage),
    )


async def _until_none_is_live(stack: RunningStack, names: Sequence[str], patience_s: float) -> int:
    """The most that were running at one look. Gives up after `patience_s` seconds; the audit counts what is left."""
    most = 0
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        statuses = await stack.ledger.statuses(names)
        most = max(most, statuses.get("running", 0))
        if not any(statuses.get(status) for status in LIVE):
            break
        await asyncio.sleep(LOOK_EVERY_S)
    return most
