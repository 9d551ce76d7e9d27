"""When a breaker opens and closes: examples, and what holds whatever happens."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.standing import BreakerState
from db.breaker_rule import RULES, BreakerFacts, Window, ended, failed, may_try, probed, succeeded, tried

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = Window(successes=1000)
CLOSED = BreakerFacts()
OPEN = failed(CLOSED, cause="provider_quota", at=NOW, window=GOOD, at_once=True)
HALF_OPEN = probed(OPEN, well=True, at=NOW)


def failing(facts: BreakerFacts, times: int, window: Window = GOOD) -> BreakerFacts:
    for _ in range(times):
        facts = failed(facts, cause="provider_unreachable", at=NOW, window=window)
    return facts


def test_five_failures_in_a_row_open_it_however_good_the_minutes_before_were() -> None:
    assert failing(CLOSED, 4).state is BreakerState.closed
    assert failing(CLOSED, 5).state is BreakerState.open


def test_a_success_in_between_begins_the_count_anew() -> None:
    facts = failing(succeeded(failing(CLOSED, 4)), 4)

    assert facts.state is BreakerState.closed


def test_half_of_the_purchases_failing_opens_it_although_others_succeed_in_between() -> None:
    half, less = Window(successes=5, failures=5), Window(successes=6, failures=5)

    assert failing(CLOSED, 1, half).state is BreakerState.open
    assert failing(CLOSED, 1, less).state is BreakerState.closed


def test_a_few_failures_of_few_purchases_do_not_open_it() -> None:
    assert failing(CLOSED, 4, Window(failures=4)).state is BreakerState.closed


def test_one_failure_that_cannot_end_otherwise_the_next_time_opens_it() -> None:
    assert (OPEN.state, OPEN.cause) == (BreakerState.open, "provider_quota")


def test_an_open_one_does_not_hear_of_what_was_bought_before() -> None:
    assert succeeded(OPEN, count=10) == OPEN
    assert failing(OPEN, 10) == OPEN


def test_a_free_probe_half_opens_it_and_two_pictures_close_it() -> None:
    once = succeeded(HALF_OPEN)
    closed = succeeded(once)

    assert (HALF_OPEN.state, once.state, closed.state) == (
        BreakerState.half_open,
        BreakerState.half_open,
        BreakerState.closed,
    )
    assert (closed.failures, closed.openings, closed.cause) == (0, 0, None)


def test_a_failure_while_it_is_half_open_opens_it_again_for_longer() -> None:
    again = failing(HALF_OPEN, 1)

    assert again.state is BreakerState.open
    assert again.retry_at == NOW + RULES.pause(2) > NOW + RULES.pause(1)


def test_pauses_grow_to_five_minutes_and_no_longer() -> None:
    facts = OPEN
    pauses = []
    for _ in range(12):
        assert facts.retry_at is not None
        pauses.append((facts.retry_at - NOW).total_seconds())
        facts = probed(facts, well=False, at=NOW)

    assert pauses[:4] == [5, 10, 20, 40]
    assert max(pauses) == pauses[-1] == 300


def test_while_it_is_half_open_a_few_purchases_at_once_may_try() -> None:
    facts = HALF_OPEN
    for _ in range(RULES.trials):
        after = tried(facts, at=NOW)
        assert after is not None
        facts = after

    assert tried(facts, at=NOW) is None
    assert tried(ended(facts), at=NOW) is not None


def test_a_trial_that_nobody_tells_the_end_of_does_not_block_for_ever() -> None:
    full = replace(HALF_OPEN, trials=RULES.trials, trial_at=NOW)
    later = NOW + timedelta(seconds=RULES.trial_patience_s)

    assert not may_try(full, at=NOW)
    one_more = tried(full, at=later)
    assert one_more is not None
    assert tried(one_more, at=later) is None


class Fate:
    """What may happen to a breaker, one after the other."""

    def __init__(self) -> None:
        self.facts = CLOSED
        self.at = NOW
        self.begun = 0

    def meet(self, what: str, window: Window) -> None:
        self.at += timedelta(seconds=1)
        if what == "failure":
            self.facts = failed(self.facts, cause="c", at=self.at, window=window)
        elif what == "fatal":
            self.facts = failed(self.facts, cause="c", at=self.at, window=window, at_once=True)
        elif what == "success":
            self.facts = succeeded(self.facts)
        elif what == "end":
            self.facts = ended(self.facts)
        elif what == "trial":
            self.facts = tried(self.facts, at=self.at) or self.facts
        else:
            self.facts = probed(self.facts, well=what == "answers", at=self.at)


HAPPENING = st.sampled_from(["failure", "fatal", "success", "end", "trial", "answers", "is silent"])
WINDOWS = st.builds(Window, successes=st.integers(0, 50), failures=st.integers(0, 50))


@given(st.lists(st.tuples(HAPPENING, WINDOWS), max_size=60))
def test_whatever_happens_it_moves_along_its_three_states_only(happened: list[tuple[str, Window]]) -> None:
    allowed = {
        (BreakerState.closed, BreakerState.open): {"failure", "fatal"},
        (BreakerState.open, BreakerState.half_open): {"answers"},
        (BreakerState.half_open, BreakerState.closed): {"success"},
        (BreakerState.half_open, BreakerState.open): {"failure", "fatal"},
    }
    fate = Fate()
    for what, window in happened:
        before = fate.facts.state
        fate.meet(what, window)
        after = fate.facts.state
        assert before is after or what in allowed[before, after]
        assert (after is BreakerState.open) == (fate.facts.retry_at is not None)
        assert 0 <= fate.facts.trials <= RULES.trials


@given(st.lists(st.tuples(HAPPENING, WINDOWS), max_size=60))
def test_whatever_happened_it_can_be_used_again_after_one_probe_and_two_pictures(
    happened: list[tuple[str, Window]],
) -> None:
    fate = Fate()
    for what, window in happened:
        fate.meet(what, window)
    for what in ("answers", "success", "success"):
        fate.meet(what, GOOD)

    assert fate.facts.state is BreakerState.closed


@given(st.lists(st.tuples(HAPPENING, WINDOWS), max_size=60))
def test_whatever_happened_before_five_failures_in_a_row_leave_it_open(happened: list[tuple[str, Window]]) -> None:
    fate = Fate()
    for what, window in happened:
        fate.meet(what, window)
    for _ in range(RULES.failures):
        fate.meet("failure", GOOD)

    assert fate.facts.state is BreakerState.open
