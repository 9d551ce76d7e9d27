"""Short ways straight at one promise: few generations, and the one kill or pause that a bug there would not survive.

None waits for the end of what it began: whoever takes several ways one after another waits once.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlmodel import col, select

from contracts.statuses import SpendState
from db.models import Spend
from tests.crash.boundaries import Boundary, Moment
from tests.crash.lab import Lab
from tests.crash.looking import until
from tests.crash.pausing import BEYOND_THE_LEASE_S, pause_at

Direction = Callable[[Lab], Awaitable[None]]

FIRES_WITHIN_S = 180.0
LOOK_EVERY_S = 0.05
BOUGHT: Final = (SpendState.submitted, SpendState.settled)


async def bought_and_killed(lab: Lab) -> None:
    """The worker dies when the provider has accepted, before anybody has written that down."""
    await _killed(lab, "worker", "replicate.submit", "after", "avatar")


async def stored_and_killed(lab: Lab) -> None:
    """The worker dies right after a picture was settled."""
    await _killed(lab, "worker", "picture.stored", "after", "avatar")


async def deleting_and_killed(lab: Lab) -> None:
    """The worker dies when it is about to delete an object."""
    await _killed(lab, "worker", "object.delete", "before", "refused_at_first_sight")


async def raw_and_killed(lab: Lab) -> None:
    """The worker dies right after a synchronous purchase was written down."""
    await _killed(lab, "worker", "raw.stored", "after", "synchronous")


async def accepted_and_killed(lab: Lab) -> None:
    """The API dies between the acceptance and its answer."""
    await _killed(lab, "api", "generation.accept", "after", "avatar")


async def canceled_while_waiting(lab: Lab) -> None:
    """The client stops a generation while the provider is at work."""
    lab.load.play("canceled_in_the_middle")


async def never_in_time(lab: Lab) -> None:
    """A job that would never end."""
    lab.load.play("too_late")


async def unknown_and_bought_again(lab: Lab) -> None:
    """The answer of a provider that cannot be asked is lost."""
    lab.load.play("cheap_and_unknown")


async def paused_before_sending(lab: Lab) -> None:
    """A worker stands still right before a purchase, until another has made it."""
    await pause_at(lab, Boundary("worker", "replicate.submit", "before"), BEYOND_THE_LEASE_S, enough=_made_by_another)


async def parked_killed_and_reopened(lab: Lab) -> None:
    """The worker dies right after a generation was parked; an operator decides before its first run is gone on with."""
    await _killed(lab, "worker", "generation.close", "after", "reviewed_and_soon_over")


# Two attempts overlap there; elsewhere one worker does, which is brought back while the engine still waits for it.
NEED_BOTH_WORKERS: Final = frozenset({paused_before_sending})


async def _made_by_another(lab: Lab) -> None:
    """What was about to be sent is at the provider: the second to send it, for the first stands still."""
    mine = Spend.tenant_id == lab.doors.tenant_id
    async with lab.doors.database.transaction() as session:
        waiting = (await session.exec(select(Spend.id).where(mine, Spend.state == SpendState.sent))).all()
    gone_out = col(Spend.id).in_(waiting), col(Spend.state).in_(BOUGHT)

    async def all_made() -> bool:
        async with lab.doors.database.transaction() as session:
            return len((await session.exec(select(Spend.id).where(*gone_out))).all()) == len(waiting)

    await until(all_made, every_s=LOOK_EVERY_S)


async def _killed(lab: Lab, process: str, effect: str, moment: Moment, scenario: str) -> None:
    boundary = Boundary(process, effect, moment)
    lab.points.arm(boundary, "kill")
    lab.load.play(scenario)

    async def fired() -> bool:
        return lab.points.has_fired(boundary)

    await until(fired, every_s=LOOK_EVERY_S, within_s=FIRES_WITHIN_S)
    lab.journal.note(f"{process} killed itself at {boundary}")
