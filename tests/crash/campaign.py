"""A whole run: the load flows, processes die, all comes to rest, and the audit is made."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.adoptions import count_adopted
from tests.crash.at_random import kill_at_random
from tests.crash.audit import audit
from tests.crash.audit_money import bill_of
from tests.crash.boundaries import Boundary, all_boundaries
from tests.crash.breach import Breach
from tests.crash.evidence import Evidence, gather_evidence
from tests.crash.exhaustive import kill_at_each
from tests.crash.lab import Lab, running_lab
from tests.crash.pausing import pause_at_some
from tests.crash.settling import settle
from tests.crash.timeline import timeline

AT_ONCE = 24
# `begin(phase, count)` tells of a new phase, and gives what is to be called for each step of it.
Begin = Callable[[str, int], Callable[[int], None]]
MOST_TIMELINES = 12
# An attempt may wait half a minute for its next try, and a generation has several.
SEEN_TO_END_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to the stack. `seed` decides all that is drawn by lot."""

    seed: int
    boundaries: Sequence[Boundary] = ()
    kills: int = 0
    pauses: int = 0
    at_once: int = AT_ONCE


@dataclass(frozen=True, slots=True)
class Torment:
    """What was done: boundaries that nobody came by, kills by service, and pauses."""

    missed: Sequence[Boundary]
    hits: dict[str, int]
    pauses: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, what was found, and the stories of those generations that it was found with."""

    plan: Plan
    done: Torment
    evidence: Evidence
    breaches: Sequence[Breach]
    stories: Sequence[str]
    adopted: int
    seconds: float


def everything(seed: int, *, kills: int, pauses: int) -> Plan:
    """All boundaries, and so many random kills and pauses."""
    return Plan(seed, all_boundaries(), kills, pauses)


async def campaign(root: Path, plan: Plan, begin: Begin) -> Outcome:
    """Run a plan on a stack in `root`."""
    began = time.monotonic()
    async with running_lab(root, plan.seed) as lab:
        done = await _torment(lab, plan, begin)
        tell = begin("coming to rest", 1)
        lab.journal.note(f"no more is asked; {lab.load.playing} clients still watch")
        await lab.load.ended(SEEN_TO_END_WITHIN_S)
        lab.journal.note("all clients have left")
        moving = await settle(lab)
        lab.journal.note(f"at rest, but for {moving}" if moving else "at rest")
        tell(1)
        return await _judge(lab, plan, done, time.monotonic() - began)


async def _torment(lab: Lab, plan: Plan, begin: Begin) -> Torment:
    missed: list[Boundary] = []
    hits: dict[str, int] = {}
    pauses = 0
    async with lab.load.flowing(plan.at_once):
        if plan.boundaries:
            tell = begin("kills at boundaries", len(plan.boundaries))
            missed = await kill_at_each(lab, plan.boundaries, tell)
        if plan.pauses:
            pauses = await pause_at_some(lab, plan.pauses, begin("pauses", plan.pauses))
        if plan.kills:
            hits = await kill_at_random(lab, plan.kills, begin("kills at random", plan.kills))
    return Torment(missed, hits, pauses)


async def _judge(lab: Lab, plan: Plan, done: Torment, seconds: float) -> Outcome:
    await lab.keeper.all_up()
    evidence = await gather_evidence(lab.doors, lab.memory)
    breaches = audit(evidence, lab.load.scenarios, outages=lab.keeper.kills["sandbox"] > 0)
    touched = dict.fromkeys(breach.generation_id for breach in breaches if breach.generation_id)
    bill = bill_of(evidence)
    return Outcome(
        plan=plan,
        done=done,
        evidence=evidence,
        breaches=breaches,
        stories=[timeline(evidence, bill, lab.journal, one) for one in [*touched][:MOST_TIMELINES]],
        adopted=count_adopted(lab.programs.root / "logs"),
        seconds=seconds,
    )
