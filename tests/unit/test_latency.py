"""Counts of ranges give back the quantiles of what was counted."""

from hypothesis import given
from hypothesis import strategies as st

from db.latency import BOUNDS_S, GROWTH, RANGES, added, counted, quantile

SECONDS = st.lists(st.floats(0.06, 1000), min_size=1, max_size=200)


def test_nothing_has_no_median() -> None:
    assert quantile(counted([]), 0.5) is None
    assert quantile([], 0.5) is None


def test_what_takes_longer_than_all_ranges_is_counted_in_the_last_one() -> None:
    assert counted([100_000.0])[-1] == 1
    assert len(counted([])) == RANGES == len(BOUNDS_S) + 1


@given(SECONDS, st.sampled_from([0.5, 0.9]))
def test_a_quantile_is_right_to_the_width_of_a_range(seconds: list[float], share: float) -> None:
    exact = sorted(seconds)[max(0, -(-int(share * 1000) * len(seconds) // 1000) - 1)]
    found = quantile(counted(seconds), share)

    assert found is not None
    assert exact / GROWTH - 0.001 <= found <= exact * GROWTH + 0.001


@given(SECONDS, SECONDS)
def test_sums_of_counts_are_counts_of_all(some: list[float], more: list[float]) -> None:
    assert added([counted(some), counted(more)]) == counted([*some, *more])


def test_shorter_counts_of_an_earlier_release_can_be_added() -> None:
    assert added([[1, 2], counted([])])[:3] == [1, 2, 0]
