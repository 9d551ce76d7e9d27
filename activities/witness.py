"""What came of purchases, told to the standings of their providers and models. A purchase never fails because of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog

from activities.evidence import fault_in, is_told_already
from activities.failures import PurchaseEnded
from activities.standing_board import StandingBoard
from background import in_background
from contracts.standing import BreakerState
from db import breakers, traffic
from db.columns import now
from db.engine import Database
from db.models import Spend
from db.traffic import Tally
from errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    DioramaError,
    ProviderBusy,
    ProviderError,
    ProviderUnreachable,
)

# Finished pictures are written once in so many seconds; failures and waits at once.
WRITE_EVERY_S: Final = 0.5
# A purchase under way counts as slow when it takes so many times as long as nearly all do, or as is typical.
TIMES_P90: Final = 2.0
TIMES_TYPICAL: Final = 3.0
FEWEST_SAMPLES: Final = 5

log = structlog.get_logger(__name__)


class Watch:
    """One purchase that this process makes; one that another attempt made says nothing about its time."""

    def __init__(self, typical_s: float | None) -> None:
        self.typical_s = typical_s
        self.sent_at: float | None = None
        self.alarm: asyncio.TimerHandle | None = None
        # Seconds from the purchase to the provider's picture; None: there is none, or it was sent by somebody else.
        self.took_s: float | None = None
        self.is_trial = False
        self.is_over = False

    @property
    def had_time(self) -> bool:
        """Whether it was under way for so long that a model in good health would have been done, whoever set the deadline."""
        if self.sent_at is None or self.typical_s is None:
            return False
        return time.monotonic() - self.sent_at >= TIMES_TYPICAL * self.typical_s

    def rest(self) -> None:
        """It is no longer waited for."""
        if self.alarm is not None:
            self.alarm.cancel()

    def unsent(self) -> None:
        """It is with us again."""
        self.rest()
        self.sent_at, self.is_trial = None, False


class Witness:
    """Counts what this worker sees, and writes it down."""

    def __init__(self, database: Database, board: StandingBoard) -> None:
        self._database = database
        self._board = board
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._watches: dict[str, Watch] = {}

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write what was counted, again and again, while the block runs, and at its end."""
        try:
            async with in_background(self._write_again_and_again(), name="witness"):
                yield
        finally:
            await self.write()

    @asynccontextmanager
    async def watching(self, spend: Spend, *, typical_s: float | None = None) -> AsyncIterator[None]:
        """Follow a purchase to its end while the block runs; `typical_s` is what the catalog expects (seconds)."""
        watch = self._watches[str(spend.id)] = Watch(typical_s)
        try:
            yield
        except PurchaseEnded as end:
            await self._ended(spend, watch, end.failure)
            raise
        finally:
            watch.rest()
            self._watches.pop(str(spend.id), None)

    def sent(self, spend: Spend) -> None:
        """The purchase goes out now."""
        watch = self._watches.get(str(spend.id))
        if watch is None:
            return
        watch.rest()
        watch.sent_at = time.monotonic()
        watch.is_trial = self._is_half_open(spend)  # the gate has just let it through
        limit_s = self._slow_after(spend, watch)
        if limit_s is not None:
            # Who took so long already takes as long again: told as the limit alone it would hide among the usual ones.
            watch.alarm = asyncio.get_running_loop().call_later(limit_s, self._count_slow, spend, 2 * limit_s)

    def delivered(self, spend: Spend) -> None:
        """The provider says that the picture is there: what we do with it takes no time of the provider's."""
        watch = self._watches.get(str(spend.id))
        if watch is None:
            return
        watch.rest()
        if watch.sent_at is not None:
            watch.took_s = time.monotonic() - watch.sent_at

    def finished(self, spend: Spend) -> None:
        """The picture is kept, so that it is one."""
        watch = self._watches.get(str(spend.id))
        if watch is None or watch.is_over:
            return
        if watch.took_s is None:
            self.delivered(spend)
        watch.is_over = True
        tally = self._tally(spend)
        tally.successes += 1
        if watch.took_s is not None:
            tally.took.append(watch.took_s)

    async def failed(self, spend: Spend, error: DioramaError) -> None:
        """A purchase could not be made, or ended without a picture; what says nothing about health is passed over."""
        watch = self._watches.get(str(spend.id))
        was_trial = watch is not None and watch.is_trial
        if watch is not None and isinstance(error, ProviderBusy | ProviderUnreachable):
            watch.unsent()
        if isinstance(error, ProviderBusy) and not spend.own_key:
            await self._told(lambda: self._write_busy(spend, error.retry_after_s, ends_trial=was_trial))
            self._board.outdate()
        elif watch is not None and was_trial and fault_in(spend, error) is None:
            watch.is_trial = False
            await self._told(lambda: self._write_end(spend))
        else:
            await self.unheard(spend, error)

    async def unheard(self, spend: Spend, error: DioramaError) -> None:
        """A call about a purchase that may be under way failed; what says nothing about health is passed over."""
        if fault := fault_in(spend, error):
            log.info("standing.fault", provider=spend.provider, model=spend.model, code=error.code)

            async def write() -> None:
                async with self._database.transaction("standing.changed") as session:
                    await traffic.record_fault(session, fault)

            await self._told(write)
        self._board.outdate()

    async def _ended(self, spend: Spend, watch: Watch, failure: DioramaError) -> None:
        """A purchase ended without a picture: evidence, or at least the end of a trial."""
        if is_told_already(failure) or watch.is_over:
            return
        # A deadline is the client's own; and what another attempt sent may be late because nobody looked after it.
        too_early = isinstance(failure, DeadlineExceeded) and not watch.had_time
        if fault_in(spend, failure) and not too_early:
            await self.failed(spend, failure)
        elif watch.is_trial:
            await self._told(lambda: self._write_end(spend))

    async def write(self) -> None:
        """Write what was counted since the last time."""
        tallies, self._tallies = self._tallies, {}
        if not tallies:
            return

        async def write() -> None:
            async with self._database.transaction("standing.changed") as session:
                await traffic.record_tallies(session, tallies)

        await self._told(write)

    def _is_half_open(self, spend: Spend) -> bool:
        standings = self._board.latest.both(spend.provider, spend.model)
        return BreakerState.half_open in {row.breaker for row in standings}

    def _tally(self, spend: Spend) -> Tally:
        return self._tallies.setdefault((spend.provider, spend.model), Tally())

    def _count_slow(self, spend: Spend, expected_s: float) -> None:
        self._tally(spend).took.append(expected_s)

    def _slow_after(self, spend: Spend, watch: Watch) -> float | None:
        known = self._board.latest.of(spend.provider, spend.model).traffic
        if known.p90_s is not None and known.samples >= FEWEST_SAMPLES:
            return TIMES_P90 * known.p90_s
        return None if watch.typical_s is None else TIMES_TYPICAL * watch.typical_s

    async def _write_busy(self, spend: Spend, retry_after_s: float, *, ends_trial: bool) -> None:
        until = now() + timedelta(seconds=retry_after_s)
        async with self._database.transaction("standing.changed") as session:
            await traffic.record_busy(session, spend.provider, spend.model, until, ends_trial=ends_trial)

    async def _write_end(self, spend: Spend) -> None:
        async with self._database.transaction("standing.changed") as session:
            await breakers.record_end(session, spend.provider, spend.model)

    async def _write_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            try:
                await self.write()
            except Exception:  # a worker must not go on as one that nobody hears of
                log.exception("standing.not_written")

    async def _told(self, write: Callable[[], Awaitable[None]]) -> None:
        try:
            await write()
        except DatabaseUnavailable:
            log.warning("standing.not_written")


class Silence:
    """Polls of one job that find nobody: several in a row are evidence, once."""

    MANY: Final = 3

    def __init__(self, witness: Witness | None, spend: Spend) -> None:
        self._witness = witness
        self._spend = spend
        self._in_a_row = 0

    async def note(self, error: ProviderError) -> None:
        """One more."""
        self._in_a_row += 1
        if self._in_a_row == self.MANY and self._witness is not None and not isinstance(error, ProviderBusy):
            await self._witness.unheard(self._spend, error)

    def broken(self) -> None:
        """The provider answered."""
        self._in_a_row = 0
