"""The record log and the rate limit, the two small things that everything else stands on."""

from pathlib import Path

import pytest

from sandbox.rates import RateLimit
from sandbox.record_log import RecordLog


def replayed(path: Path) -> list[int]:
    seen: list[int] = []
    log = RecordLog(path)
    log.subscribe("number", lambda record: seen.append(record["n"]))
    log.replay()
    log.close()
    return seen


def test_records_come_back_in_order_to_their_subscribers(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "log.jsonl")
    for number in range(3):
        log.append("number", {"n": number})
        log.append("other", {"n": -1})
    log.close()

    assert replayed(tmp_path / "log.jsonl") == [0, 1, 2]


@pytest.mark.parametrize("torn", [b'{"kind":"number","n":', b'{"kind":"number","n":7}'])
def test_an_unfinished_last_line_is_dropped_and_does_not_spoil_the_next(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"kind":"number","n":1}\n' + torn)

    assert replayed(path) == [1]
    log = RecordLog(path)
    log.append("number", {"n": 2})
    log.close()
    assert replayed(path) == [1, 2]


def test_a_rate_limit_lets_its_burst_through_and_then_says_how_long_to_wait() -> None:
    limit = RateLimit()

    waits = [limit.take(6.0, burst=2.0) for _ in range(3)]

    assert waits[:2] == [0.0, 0.0]
    assert waits[2] == pytest.approx(10.0, abs=0.5)


def test_no_limit_never_waits() -> None:
    limit = RateLimit()

    assert [limit.take(None) for _ in range(1000)] == [0.0] * 1000
