"""Pauses (SIGSTOP) right at a boundary, longer than a heartbeat may be late, so that two attempts overlap."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import psutil

from tests.crash.boundaries import Boundary, Moment
from tests.crash.crew import WORKERS
from tests.crash.exhaustive import LOOK_EVERY_S, PLAY_AGAIN_S, Tell
from tests.crash.lab import HEARTBEAT_S, SUBMIT_TIMEOUT_S, Lab
from tests.crash.reached_by import SCENARIO_THERE

# Where two attempts can do harm to each other: money and objects.
WHERE: Sequence[tuple[str, Moment]] = (
    ("purchase.sent", "after"),
    ("replicate.submit", "before"),
    ("replicate.submit", "after"),
    ("picture.stored", "before"),
    ("object.put", "after"),
    ("openai.submit", "after"),
    ("purchase.submitted", "before"),
    ("purchase.sent", "before"),
    ("object.put", "before"),
    ("object.delete", "before"),
    ("asset.deleting", "after"),
    ("generation.close", "before"),
    ("undo.begin", "after"),
    ("raw.stored", "before"),
    ("purchase.ended", "before"),
    ("openai.submit", "before"),
    ("asset.pending", "after"),
    ("picture.claim", "after"),
    ("replicate.cancel", "before"),
    ("picture.stored", "after"),
)
# Past the heartbeat: the other attempt waits for the first one's time to send. Past that time: it has sent, too.
JUST_OVERDUE_S = HEARTBEAT_S + 3.0
BEYOND_THE_LEASE_S = HEARTBEAT_S + 5.0 + SUBMIT_TIMEOUT_S + 5.0 + 4.0
NOBODY_CAME_S = 60.0

# Returns when a pause was long enough.
Enough = Callable[[Lab], Awaitable[None]]


async def not_before_its_time(_: Lab) -> None:
    """The whole of the pause."""
    await asyncio.Event().wait()


async def pause_at_some(lab: Lab, pauses: int, tell: Tell) -> int:
    """Pause workers at the most dangerous boundaries, one after another; returns how many were paused."""
    done = 0
    for number in range(pauses):
        effect, moment = WHERE[number % len(WHERE)]
        pause_s = BEYOND_THE_LEASE_S if number % 2 == 0 else JUST_OVERDUE_S
        done += await pause_at(lab, Boundary("worker", effect, moment), pause_s)
        tell(1)
    return done


async def pause_at(lab: Lab, boundary: Boundary, pause_s: float, *, enough: Enough = not_before_its_time) -> bool:
    """Have a worker pause itself there, and go on after `pause_s` seconds, or when it is `enough`. False: nobody came by.

    The engine is started anew meanwhile: it holds the polls of the worker that stands still, and would give it every
    further attempt. So all of its work goes to the other one.
    """
    lab.points.arm(boundary, "pause")
    if not await _came_by(lab, boundary, SCENARIO_THERE[boundary.place]):
        return False
    lab.journal.note(f"a worker paused itself at {boundary} for {pause_s:.0f} s")
    lab.keeper.kill("temporal")
    with suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await enough(lab)
    for pid in map(lab.programs.pid, WORKERS):
        with suppress(psutil.NoSuchProcess):
            if pid is not None and psutil.Process(pid).status() == psutil.STATUS_STOPPED:
                os.kill(pid, signal.SIGCONT)
                lab.journal.note("the paused worker goes on")
    return True


async def _came_by(lab: Lab, boundary: Boundary, scenario: str) -> bool:
    waited_s = 0.0
    while not lab.points.has_fired(boundary):
        if waited_s > NOBODY_CAME_S and lab.points.disarm(boundary):
            return False
        if waited_s % PLAY_AGAIN_S < LOOK_EVERY_S:
            lab.load.play(scenario)
        await asyncio.sleep(LOOK_EVERY_S)
        waited_s += LOOK_EVERY_S
    return True
