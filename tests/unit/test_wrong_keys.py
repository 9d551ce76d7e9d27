"""How many wrong keys an address may send, with a clock that is moved by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import wrong_keys
from api.wrong_keys import PER_MINUTE, WrongKeys
from errors import RateLimited

PLACE = "192.0.2.7"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def _refused(keys: WrongKeys, address: str | None) -> bool:
    try:
        keys.check(address)
    except RateLimited:
        return True
    return False


def _tried(keys: WrongKeys, address: str | None, times: int) -> int:
    """How many of so many wrong keys were looked at."""
    looked_at = 0
    for _ in range(times):
        if not _refused(keys, address):
            keys.note(address)
            looked_at += 1
    return looked_at


def test_an_address_is_told_to_wait_after_thirty_wrong_keys_and_may_go_on_with_one_every_two_seconds() -> None:
    clock = Clock()
    keys = WrongKeys(clock)

    assert _tried(keys, PLACE, 100) == PER_MINUTE == 30
    clock.seconds += 1.9
    assert _tried(keys, PLACE, 10) == 0
    clock.seconds += 0.2
    assert _tried(keys, PLACE, 10) == 1
    clock.seconds += 60
    assert _tried(keys, PLACE, 100) == 30


def test_the_refusal_says_how_long_to_wait() -> None:
    keys = WrongKeys(Clock())
    _tried(keys, PLACE, 30)

    with pytest.raises(RateLimited) as refused:
        keys.check(PLACE)

    assert refused.value.facts == {"limit": 30, "of": "address", "per": "minute", "retry_after_s": 2}


def test_others_are_not_hindered_by_one_that_guesses() -> None:
    keys = WrongKeys(Clock())
    _tried(keys, PLACE, 30)

    assert not _refused(keys, "192.0.2.8")
    assert not _refused(keys, None)


def test_the_addresses_of_one_ipv6_network_count_as_one() -> None:
    keys = WrongKeys(Clock())
    _tried(keys, "2001:db8:1:2::1", 30)

    assert _refused(keys, "2001:db8:1:2:ffff::9")
    assert not _refused(keys, "2001:db8:1:3::1")


def test_ipv4_clients_behind_a_proxy_that_speaks_both_count_one_by_one() -> None:
    keys = WrongKeys(Clock())
    _tried(keys, f"::ffff:{PLACE}", 30)

    assert _refused(keys, f"::ffff:{PLACE}")
    assert _refused(keys, PLACE)
    assert not _refused(keys, "::ffff:192.0.2.8")


def test_a_flood_from_everywhere_takes_no_more_memory_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "MOST_ADDRESSES", 100)
    keys = WrongKeys(Clock())
    _tried(keys, PLACE, 30)

    for number in range(1000):
        keys.note(f"198.51.{number // 250}.{number % 250}")

    assert len(keys._used_up_until) == 100


@given(st.lists(st.floats(min_value=0, max_value=30, allow_nan=False), max_size=200))
def test_no_minute_ever_has_more_than_twice_the_limit_and_no_patient_client_is_refused(pauses: list[float]) -> None:
    clock = Clock()
    keys = WrongKeys(clock)
    looked_at: list[float] = []

    for pause in pauses:
        clock.seconds += pause
        if _tried(keys, PLACE, 1):
            looked_at.append(clock.seconds)
        else:
            assert pause < 2.0

    for moment in looked_at:
        assert sum(moment - 60 < other <= moment for other in looked_at) <= 2 * PER_MINUTE
