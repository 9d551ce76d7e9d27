"""A prediction's state follows from its times alone."""

import math
from dataclasses import replace

import pytest

from sandbox.replicate.intake import cancel_after_s
from sandbox.replicate.predictions import Fate, PicturePlan, Prediction

PLAN = PicturePlan(1024, 1024, "webp", "webp", 1, single=False, drawing="fast")
PREDICTION = Prediction(
    id="p",
    model="openai/gpt-image-2",
    version="hidden",
    input={"prompt": "a lake"},
    created_at=1000.0,
    queue_s=10.0,
    duration_s=20.0,
    plan=PLAN,
    fate=Fate(),
    amount_usd=0.05,
    work_done_at=1000.0,
)


def test_it_waits_then_runs_then_succeeds() -> None:
    statuses = [PREDICTION.phase(now).status for now in (1000, 1009.9, 1010, 1029.9, 1030, 9999)]

    assert statuses == ["starting", "starting", "processing", "processing", "succeeded", "succeeded"]
    assert PREDICTION.phase(1030).started_at == 1010.0
    assert PREDICTION.phase(9999).completed_at == 1030.0


def test_it_cannot_succeed_before_its_work_is_done() -> None:
    working = replace(PREDICTION, work_done_at=None)
    late = replace(PREDICTION, work_done_at=1050.0)

    assert working.phase(5000).status == "processing"
    assert math.isinf(working.ends_at())
    assert late.ends_at() == 1050.0


def test_failed_work_fails_it_unbilled() -> None:
    failed = replace(PREDICTION, work_done_at=1012.0, work_error="404")

    assert (failed.phase(1012).status, failed.phase(1012).error, failed.billed(1012)) == ("failed", "404", False)


@pytest.mark.parametrize(
    ("changes", "status", "ends_at", "billed"),
    [
        ({"canceled_at": 1005.0}, "canceled", 1005.0, True),
        ({"canceled_at": 1015.0}, "canceled", 1015.0, True),
        ({"deadline_at": 1005.0}, "aborted", 1005.0, False),
        ({"deadline_at": 1015.0}, "canceled", 1015.0, True),
        ({"deadline_at": 1031.0}, "succeeded", 1030.0, True),
        ({"canceled_at": 1031.0}, "succeeded", 1030.0, True),
        ({"deadline_at": 1015.0, "canceled_at": 1012.0}, "canceled", 1012.0, True),
    ],
)
def test_the_earliest_of_end_deadline_and_cancellation_decides(
    changes: dict[str, float], status: str, ends_at: float, billed: bool
) -> None:
    prediction = replace(PREDICTION, **changes)  # type: ignore[arg-type]
    phase = prediction.phase(2000)

    assert (phase.status, phase.completed_at, prediction.billed(2000)) == (status, ends_at, billed)


def test_a_terminal_state_never_changes_with_time() -> None:
    canceled = replace(PREDICTION, canceled_at=1015.0)

    assert {canceled.phase(now) for now in (1015, 1030, 1e9)} == {canceled.phase(1015)}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), ("5m", 300), ("1h30m45s", 5445), ("2h", 7200), ("soon", None), ("", None), ("-5", None)],
)
def test_a_deadline_is_read_in_every_documented_form(text: str, seconds: float | None) -> None:
    assert cancel_after_s(text) == seconds
