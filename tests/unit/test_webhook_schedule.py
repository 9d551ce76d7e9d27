"""When a webhook is tried again: the schedule, its jitter, and what receivers ask for."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from uuid import uuid4

import pytest

from activities.webhook_post import LONGEST_RETRY_AFTER_S, retry_after_s, trouble_of
from contracts.statuses import Status
from contracts.webhooks import DeliveryTrouble, WebhookEvent
from db.events import REOPENED
from workflows.deliver_webhook import JITTER, PAUSES_S, pause_s

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_ten_attempts_are_spread_over_three_days_and_the_last_has_no_successor() -> None:
    assert [pause_s("id", place) is None for place in range(10)] == [False] * 9 + [True]
    assert timedelta(days=3) < timedelta(seconds=sum(PAUSES_S)) < timedelta(days=3.5)
    assert all(earlier < later for earlier, later in pairwise(PAUSES_S))


def test_a_pause_is_the_same_at_every_replay_and_different_for_every_delivery() -> None:
    ids = [str(uuid4()) for _ in range(50)]

    assert [pause_s(one, 3) for one in ids] == [pause_s(one, 3) for one in ids]
    assert len({pause_s(one, 3) for one in ids}) == 50


@pytest.mark.parametrize("place", range(9))
def test_jitter_is_at_most_a_tenth(place: int) -> None:
    pauses = [pause_s(str(uuid4()), place) or 0 for _ in range(100)]

    assert all(abs(pause / PAUSES_S[place] - 1) <= JITTER for pause in pauses)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("9" * 30, LONGEST_RETRY_AFTER_S),
        ("86400", LONGEST_RETRY_AFTER_S),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), LONGEST_RETRY_AFTER_S),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("Sat, 21 Nov 2026 12:00:00", 0),
        ("", 0),
        ("²", 0),
    ],
)
def test_what_a_receiver_asks_for_is_read_and_bounded(header: str, seconds: float) -> None:
    assert retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (200, None),
        (204, None),
        (299, None),
        (301, DeliveryTrouble.refused),
        (404, DeliveryTrouble.refused),
        (410, DeliveryTrouble.gone),
        (429, DeliveryTrouble.refused),
        (500, DeliveryTrouble.refused),
    ],
)
def test_only_2xx_means_that_it_arrived(status: int, trouble: DeliveryTrouble | None) -> None:
    assert trouble_of(status) is trouble


def test_endpoints_can_ask_for_every_end_of_a_generation_for_its_reopening_and_for_alerts_of_budgets() -> None:
    ends = {f"generation.{status}" for status in Status if status.is_final}

    assert set(WebhookEvent) == ends | {REOPENED, WebhookEvent.budget_alert}
