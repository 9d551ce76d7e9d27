"""The gate before a purchase: nothing is bought where an operator paused, a breaker is open, or the provider said to wait.

It stands before the first byte only. What was sent goes on to its end whatever happens to its provider's standing.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from activities.gate_metrics import GateMetrics
from activities.standing_board import StandingBoard
from contracts.standing import BreakerState, LaneMode, Standing, Standings
from db import breakers, lanes
from db.columns import now
from db.engine import Database
from db.models import Spend
from errors import CircuitOpen, LanePaused, ProviderBusy, ProviderError
from providers.choosing import SHORT_WAIT

Room = Callable[[], AbstractAsyncContextManager[None]]

# How often somebody who waits looks again, should no notification come (seconds).
LOOK_AGAIN_S: Final = 1.0
SHORTEST_WAIT_S: Final = 0.02
# A provider that asks for a longer wait is passed by where there is another: the planner thinks so, too.
SHORT_WAIT_S: Final = SHORT_WAIT / timedelta(seconds=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a purchase may not begin now. `wait_s`: how long until it is worth asking again.

    `is_passed_by`: another candidate is taken instead of waiting, where there is one.
    """

    error: ProviderError
    wait_s: float = LOOK_AGAIN_S
    is_passed_by: bool = True

    def is_waited_for(self, left_s: float, alternatives: int) -> bool:
        """Whether to wait for its end, `left_s` before the deadline."""
        if self.is_passed_by and alternatives:
            return False
        longest_s = self.error.retry_after_s if isinstance(self.error, ProviderBusy) else 0.0
        return left_s > min(self.wait_s, LOOK_AGAIN_S) and left_s >= longest_s


class PurchaseGate:
    """Lets purchases through; holds dependencies only."""

    def __init__(self, database: Database, board: StandingBoard, *, metrics: GateMetrics | None = None) -> None:
        self._database = database
        self._board = board
        self._metrics = metrics

    @asynccontextmanager
    async def passed(self, spend: Spend, *, alternatives: int, room: Room = nullcontext) -> AsyncIterator[None]:
        """Run the block, which buys, as soon as the purchase may begin; `room` is what it needs besides.

        Nobody waits here inside `room`, and whoever waited for it is looked at again. Raises LanePaused, CircuitOpen, and
        ProviderBusy for a longer wait, at once where there are alternatives, else at the deadline; what `room` raises, too.
        """
        is_counted = False
        while True:
            obstacle = await self._obstacle(spend, begins=False)
            if obstacle is None:
                async with room():
                    obstacle = await self._obstacle(spend, begins=True)
                    if obstacle is None:
                        yield
                        return
            left_s = (spend.deadline_at - now()) / timedelta(seconds=1)
            if not obstacle.is_waited_for(left_s, alternatives):
                raise obstacle.error
            if not is_counted:
                self._count(spend, obstacle.error.code)
            is_counted = True
            await self._board.change(spend.provider, within_s=min(_with_jitter(obstacle.wait_s), left_s))

    def _count(self, spend: Spend, code: str) -> None:
        log.info("purchase.held_back", provider=spend.provider, model=spend.model, code=code)
        if self._metrics is not None:
            self._metrics.held_back.labels(spend.provider, spend.model, code).inc()

    async def _obstacle(self, spend: Spend, *, begins: bool) -> Obstacle | None:
        """What keeps it back now; if it `begins` and nothing does, what it needs is taken."""
        standings = await self._board.standings()
        obstacle = obstacle_in(standings, spend.provider, spend.model, now(), own_key=spend.own_key)
        if obstacle is None and begins:
            obstacle = await self._without_trial_or_slot(*standings.both(spend.provider, spend.model))
        return obstacle

    async def _without_trial_or_slot(self, provider: Standing, model: Standing) -> Obstacle | None:
        """While a breaker is half open, only a few purchases at once may try; and a model may have a limit of its own.

        Both are taken, or neither. A provider's limit is kept by the engine's queue.
        """
        is_trial = BreakerState.half_open in {provider.breaker, model.breaker}
        if not is_trial and model.creates_per_minute is None:
            return None
        async with self._database.transaction("standing.changed") as session:
            if is_trial and not await breakers.take_trial(session, model.provider, model.model):
                return Obstacle(CircuitOpen())
            wait_s = await lanes.take(session, model.provider, model.model)
            if wait_s:
                await session.rollback()  # the trial is somebody else's
                return Obstacle(ProviderBusy(retry_after_s=wait_s), wait_s=wait_s, is_passed_by=False)
        return None


def obstacle_in(
    standings: Standings, provider: str, model: str, at: datetime, *, own_key: bool = False
) -> Obstacle | None:
    """What keeps a purchase back as far as standings say; None: nothing.

    `own_key`: it is made in a tenant's own account, which the provider did not tell to wait when it told ours.
    """
    both = standings.both(provider, model)
    if any(row.mode is LaneMode.paused for row in both):
        return Obstacle(LanePaused())
    if any(row.breaker is BreakerState.open for row in both):
        return Obstacle(CircuitOpen())
    busy_s = max(((row.busy_until - at) / timedelta(seconds=1) for row in both if row.busy_until), default=0.0)
    if busy_s > 0 and not own_key:
        return Obstacle(ProviderBusy(retry_after_s=busy_s), wait_s=busy_s, is_passed_by=busy_s > SHORT_WAIT_S)
    return None


def _with_jitter(wait_s: float) -> float:
    """Not all at the same moment."""
    return max(wait_s, SHORTEST_WAIT_S) * random.uniform(1.0, 1.2)
