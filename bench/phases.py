"""One measured phase: warm up, close the sandbox's books, run, and see what it cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.audit import Audit, audited
from bench.bare_script import bare_chains
from bench.chains import our_chains
from bench.closed_loop import ChainRun, LoopRun, OneChain, closed_loop
from bench.minimal_temporal import minimal_chains
from bench.percentiles import Spread
from bench.process_usage import Usage, measured
from bench.running_stack import RunningStack

SERVERS = ("temporal", "store", "sandbox")
# Connections, caches and the sandbox's few small pictures are there after so many.
WARM_UP_CHAINS = 24


@dataclass(frozen=True, slots=True)
class Load:
    """How many chains, how many of them at once, and how long each of their two jobs takes (seconds)."""

    chains: int
    at_once: int
    job_s: float


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """What one contender needed for a load.

    `seen`: from the caller's first byte to the answer; `added`: the same less the time of the provider's two jobs.
    `kept` and `kept_added`: both by our rows, acceptance to last transaction; the limits have none.
    """

    load: Load
    per_second: float
    seen: Spread
    added: Spread
    usage: Mapping[str, Usage]
    failures: Sequence[str]
    kept: Spread | None = None
    kept_added: Spread | None = None
    audit: Audit | None = None

    def cpu_ms(self, *services: str) -> float:
        """CPU milliseconds per chain of these services together; one that took no part counts nothing."""
        taking_part = [self.usage[name].cpu_s for name in services if name in self.usage]
        return sum(taking_part) * 1000 / self.load.chains

    @property
    def lost(self) -> int:
        """Chains that ended badly, and for ours also everything that is not accounted for."""
        return len(self.failures) if self.audit is None else self.audit.lost


async def bare_phase(stack: RunningStack, load: Load) -> PhaseReport:
    """Limit 1."""
    async with bare_chains(stack.environment, load.job_s) as one_chain:
        loop, usage = await _measured_loop(stack, load, one_chain, {})
    return await _report(stack, load, loop, usage)


async def minimal_phase(stack: RunningStack, load: Load) -> PhaseReport:
    """Limit 2."""
    async with minimal_chains(stack.environment, load.job_s) as (one_chain, worker):
        loop, usage = await _measured_loop(stack, load, one_chain, {"worker": worker})
    return await _report(stack, load, loop, usage)


async def our_phase(stack: RunningStack, load: Load) -> PhaseReport:
    """Diorama, with an audit of what was bought and stored."""
    async with our_chains(stack.environment) as one_chain:
        loop, usage = await _measured_loop(stack, load, one_chain, stack.pids("api", "worker", "postgres"))
    names = await stack.ledger.accepted_since(loop.began_at)
    finished = {chain.name: chain for chain in await stack.ledger.finished(names)}
    seen = tuple(replace(chain, job_ids=finished[chain.name].job_ids) for chain in loop.chains)
    report = await _report(stack, load, replace(loop, chains=seen), usage)
    return replace(
        report,
        kept=Spread.of_seconds(chain.seconds for chain in finished.values()),
        kept_added=await added_by(stack, finished.values()),
        audit=await audited(names, asked=load.chains, ledger=stack.ledger, books=stack.books, storage=stack.storage),
    )


async def added_by(stack: RunningStack, chains: Iterable[ChainRun]) -> Spread:
    """The time of chains beyond the time that the provider needed for their jobs, as the sandbox recorded it."""
    jobs = await stack.books.job_seconds()
    return Spread.of_seconds(chain.seconds - sum(jobs.get(job, 0.0) for job in chain.job_ids) for chain in chains)


async def _measured_loop(
    stack: RunningStack, load: Load, one_chain: OneChain, taking_part: Mapping[str, int]
) -> tuple[LoopRun, Mapping[str, Usage]]:
    await stack.books.set_pace(job_s=0)
    await closed_loop(one_chain, count=max(WARM_UP_CHAINS, load.at_once), at_once=load.at_once)
    await stack.books.forget()
    await stack.books.set_pace(job_s=load.job_s)
    async with measured({**stack.pids(*SERVERS), **taking_part}) as usage:
        loop = await closed_loop(one_chain, count=load.chains, at_once=load.at_once, spread_s=2 * load.job_s)
    return loop, usage


async def _report(stack: RunningStack, load: Load, loop: LoopRun, usage: Mapping[str, Usage]) -> PhaseReport:
    return PhaseReport(
        load=load,
        per_second=loop.per_second,
        seen=Spread.of_seconds(chain.seconds for chain in loop.chains),
        added=await added_by(stack, loop.chains),
        usage=usage,
        failures=loop.failures,
    )
