"""The gate before a purchase: nothing is bought where an operator paused, a breaker is open, or the provider said to wait.

It stands before the first byte only. What was sent goes on to its end whatever happens to its provider's standing.
"""

import random
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

# How often somebody who waits looks again, should no notification come (seconds).
LOOK_AGAIN_S: Final = 1.0
SHORTEST_WAIT_S: Final = 0.02

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a purchase may not begin now. `wait_s`: how long until it is worth asking again.

    `is_passed_by`: another candidate is taken instead of waiting, where there is one.
    """

    error: ProviderError
    wait_s: float = LOOK_AGAIN_S
    is_passed_by: bool = True


class PurchaseGate:
    """Lets purchases through; holds dependencies only."""

    def __init__(self, database: Database, board: StandingBoard, *, metrics: GateMetrics | None = None) -> None:
        self._database = database
        self._board = board
        self._metrics = metrics

    async def passed(self, spend: Spend, *, alternatives: int) -> bool:
        """Return when the purchase may begin; True: it had to wait, so that the row must be looked at again.

        Raises LanePaused and CircuitOpen at once where there are alternatives, else at the deadline; ProviderBusy when the
        provider is busy for longer than that.
        """
        waited = False
        while (obstacle := await self._obstacle(spend)) is not None:
            left_s = (spend.deadline_at - now()) / timedelta(seconds=1)
            if (obstacle.is_passed_by and alternatives) or left_s <= min(obstacle.wait_s, LOOK_AGAIN_S):
                raise obstacle.error
            if isinstance(obstacle.error, ProviderBusy) and obstacle.error.retry_after_s > left_s:
                raise obstacle.error
            if not waited:
                self._count(spend, obstacle.error.code)
            waited = True
            await self._board.change(spend.provider, within_s=_with_jitter(obstacle.wait_s))
        return waited

    def _count(self, spend: Spend, code: str) -> None:
        log.info("purchase.held_back", provider=spend.provider, model=spend.model, code=code)
        if self._metrics is not None:
            self._metrics.held_back.labels(spend.provider, spend.model, code).inc()

    async def _obstacle(self, spend: Spend) -> Obstacle | None:
        standings = await self._board.standings()
        provider, model = standings.both(spend.provider, spend.model)
        return (
            obstacle_in(standings, spend.provider, spend.model, now())
            or await self._limited(model)
            or await self._without_trial(provider, model)
        )

    async def _limited(self, model: Standing) -> Obstacle | None:
        """A model's own limit; a provider's is kept by the engine's queue."""
        if model.creates_per_minute is None:
            return None
        async with self._database.transaction("standing.changed") as session:
            wait_s = await lanes.take(session, model.provider, model.model)
        return Obstacle(ProviderBusy(retry_after_s=wait_s), wait_s=wait_s, is_passed_by=False) if wait_s else None

    async def _without_trial(self, provider: Standing, model: Standing) -> Obstacle | None:
        """While a breaker is half open, only a few purchases at once may try."""
        if BreakerState.half_open not in {provider.breaker, model.breaker}:
            return None
        async with self._database.transaction("standing.changed") as session:
            may_try = await breakers.take_trial(session, model.provider, model.model)
        return None if may_try else Obstacle(CircuitOpen())


def obstacle_in(standings: Standings, provider: str, model: str, at: datetime) -> Obstacle | None:
    """What keeps a purchase back as far as standings say; None: nothing."""
    both = standings.both(provider, model)
    if any(row.mode is LaneMode.paused for row in both):
        return Obstacle(LanePaused())
    if any(row.breaker is BreakerState.open for row in both):
        return Obstacle(CircuitOpen())
    busy_s = max(((row.busy_until - at) / timedelta(seconds=1) for row in both if row.busy_until), default=0.0)
    if busy_s > 0:
        return Obstacle(ProviderBusy(retry_after_s=busy_s), wait_s=busy_s, is_passed_by=False)
    return None


def _with_jitter(wait_s: float) -> float:
    """Not all at the same moment."""
    return max(wait_s, SHORTEST_WAIT_S) * random.uniform(1.0, 1.2)
