"""A kill at every boundary: each is armed, its scenario played, and the process that comes by ends itself there.

What a client's request reaches comes first. Then, with the load still flowing, comes what only shows in some peace: what
the reconciler does about things that were put astray, and what nobody came by at before.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.crash.boundaries import Boundary
from tests.crash.lab import Lab
from tests.crash.reached_by import SCENARIO_THERE
from tests.crash.scenarios import NEEDS_PEACE
from tests.crash.settling import reconcile

LOOK_EVERY_S = 0.05
RECONCILE_EVERY_S = 2.0
PLAY_AGAIN_S = 12.0
# The plants need half a minute without a further plant: some of them take a server away.
PLANT_AGAIN_S = 35.0

Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """So many are armed at once, and a boundary is given up after so many seconds."""

    at_once: int
    give_up_s: float


IN_TURN = Pace(at_once=6, give_up_s=45.0)
IN_PEACE = Pace(at_once=1000, give_up_s=240.0)


async def kill_at_each(lab: Lab, boundaries: Sequence[Boundary], tell: Tell) -> list[Boundary]:
    """End a process at every one of the boundaries; returns those that nobody came by in time. `tell` hears of each."""
    known = [boundary for boundary in boundaries if boundary.place in SCENARIO_THERE]
    quick = [one for one in known if SCENARIO_THERE[one.place] not in NEEDS_PEACE]
    missed = await _in_each_process(lab, quick, tell, IN_TURN)
    late = [one for one in known if one not in quick] + missed
    async with _reconciling(lab):
        missed = await _in_each_process(lab, late, tell, IN_PEACE)
    return [boundary for boundary in boundaries if boundary in missed or boundary not in known]


async def _in_each_process(lab: Lab, boundaries: Sequence[Boundary], tell: Tell, pace: Pace) -> list[Boundary]:
    """The processes die beside each other."""
    processes = dict.fromkeys(boundary.process for boundary in boundaries)
    parts = ([one for one in boundaries if one.process == process] for process in processes)
    missed = await asyncio.gather(*(_in_turn(lab, part, tell, pace) for part in parts))
    return [boundary for part in missed for boundary in part]


async def _in_turn(lab: Lab, boundaries: Sequence[Boundary], tell: Tell, pace: Pace) -> list[Boundary]:
    to_do, missed = deque(boundaries), list[Boundary]()
    armed_at: dict[Boundary, float] = {}
    played_at: dict[str, float] = {}
    while to_do or armed_at:
        now = time.monotonic()
        while to_do and len(armed_at) < pace.at_once:
            armed_at[to_do[0]] = now
            lab.points.arm(to_do.popleft(), "kill")
        for boundary in list(armed_at):
            scenario = SCENARIO_THERE[boundary.place]
            again_s = PLANT_AGAIN_S if scenario in NEEDS_PEACE else PLAY_AGAIN_S
            if lab.points.has_fired(boundary):
                lab.journal.note(f"{boundary.process} killed itself at {boundary}")
                del armed_at[boundary]
                tell(1)
                if not to_do:  # nothing waits for their places: what it takes to come back is not their time
                    armed_at = dict.fromkeys(armed_at, now)
            elif now - armed_at[boundary] > pace.give_up_s and lab.points.disarm(boundary):
                lab.journal.note(f"nobody came by at {boundary}")
                del armed_at[boundary]
                missed.append(boundary)
            elif now - played_at.get(scenario, 0.0) > again_s:
                played_at[scenario] = now
                lab.load.play(scenario)
        await asyncio.sleep(LOOK_EVERY_S)
    return missed


@asynccontextmanager
async def _reconciling(lab: Lab) -> AsyncIterator[None]:
    """A round of the reconciler every few seconds: one that was cut by a kill would only go on after ten."""

    async def again_and_again() -> None:
        while True:
            await reconcile(lab, within_s=4 * RECONCILE_EVERY_S)
            await asyncio.sleep(RECONCILE_EVERY_S)

    rounds = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)
