"""When a breaker opens and closes: the rule alone, without a database.

closed: used. open: after failures; nothing is bought until a free probe succeeds. half_open: a few purchases are let through;
successes close it, one failure opens it again, and the pause until the next probe grows.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from contracts.standing import BreakerState


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """`failures` in a row open it, and so do as many within the window when they are `share` of all. Times in seconds.

    `trials`: so many purchases at once are let through while it is half open, and one more when the last one is older
    than `trial_patience_s`: nobody may ever tell how it ended.
    """

    failures: int = 5
    share: float = 0.5
    successes: int = 2
    trials: int = 3
    trial_patience_s: float = 60.0
    first_pause_s: float = 5.0
    longest_pause_s: float = 300.0

    def pause(self, openings: int) -> timedelta:
        """How long nobody probes after the breaker has opened so many times in a row."""
        grown = self.first_pause_s * 2 ** min(max(openings - 1, 0), 20)
        return timedelta(seconds=min(grown, self.longest_pause_s))


RULES: Final = BreakerRules()


@dataclass(frozen=True, slots=True)
class Window:
    """What came of the purchases of the last minutes."""

    successes: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class BreakerFacts:
    """Where a breaker stands; the columns of its row."""

    state: BreakerState = BreakerState.closed
    failures: int = 0
    successes: int = 0
    openings: int = 0
    trials: int = 0
    cause: str | None = None
    opened_at: datetime | None = None
    retry_at: datetime | None = None
    trial_at: datetime | None = None


def failed(
    facts: BreakerFacts, *, cause: str, at: datetime, window: Window, at_once: bool = False, rules: BreakerRules = RULES
) -> BreakerFacts:
    """After one more failure, which `window` counts already. `at_once`: this one alone is enough."""
    if facts.state is BreakerState.open:
        return facts
    counted = replace(facts, failures=facts.failures + 1)
    often = window.failures >= rules.failures and window.failures >= rules.share * (window.failures + window.successes)
    if at_once or often or facts.state is BreakerState.half_open or counted.failures >= rules.failures:
        return _opened(facts, cause, at, rules)
    return counted


def succeeded(facts: BreakerFacts, *, count: int = 1, rules: BreakerRules = RULES) -> BreakerFacts:
    """After so many finished pictures. One that was bought before the breaker opened says nothing about now."""
    if facts.state is BreakerState.open:
        return facts
    if facts.state is BreakerState.closed:
        return replace(facts, failures=0)
    if facts.successes + count >= rules.successes:
        return BreakerFacts(opened_at=facts.opened_at)
    return replace(facts, successes=facts.successes + count, trials=max(0, facts.trials - count))


def ended(facts: BreakerFacts) -> BreakerFacts:
    """After a purchase whose end says nothing about health, such as a refused prompt: its trial is free again."""
    if facts.state is not BreakerState.half_open:
        return facts
    return replace(facts, trials=max(0, facts.trials - 1))


def probed(facts: BreakerFacts, *, well: bool, at: datetime, rules: BreakerRules = RULES) -> BreakerFacts:
    """After a free probe: half open when it went well, else open for longer."""
    if facts.state is not BreakerState.open:
        return facts
    if well:
        return replace(facts, state=BreakerState.half_open, successes=0, trials=0, trial_at=None, retry_at=None)
    openings = facts.openings + 1
    return replace(facts, openings=openings, retry_at=at + rules.pause(openings))


def tried(facts: BreakerFacts, *, at: datetime, rules: BreakerRules = RULES) -> BreakerFacts | None:
    """After one more purchase was let through; None: it may not be."""
    if facts.state is BreakerState.closed:
        return facts
    if not may_try(facts, at=at, rules=rules):
        return None
    trials = facts.trials + 1 if facts.trials < rules.trials else rules.trials
    return replace(facts, trials=trials, trial_at=at)


def may_try(facts: BreakerFacts, *, at: datetime, rules: BreakerRules = RULES) -> bool:
    """Whether a purchase may be let through."""
    if facts.state is not BreakerState.half_open:
        return facts.state is BreakerState.closed
    patience = timedelta(seconds=rules.trial_patience_s)
    return facts.trials < rules.trials or facts.trial_at is None or at - facts.trial_at >= patience


def _opened(facts: BreakerFacts, cause: str, at: datetime, rules: BreakerRules) -> BreakerFacts:
    openings = facts.openings + 1
    return BreakerFacts(
        state=BreakerState.open, openings=openings, cause=cause, opened_at=at, retry_at=at + rules.pause(openings)
    )
