"""The audit finds each thing that can be wrong, and nothing with what is right."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from contracts.statuses import AssetState, Billed, SpendState, Status
from tests.crash.audit import audit
from tests.crash.scenarios import all_scenarios
from tests.crash.whole_evidence import PRICE, Parts, a_charge, a_picture

Spoil = Callable[[Parts], None]
SCENARIOS = all_scenarios("http://127.0.0.1/me.png")


def breaches(parts: Parts) -> list[str]:
    return [breach.what for breach in audit(parts.evidence(), SCENARIOS, outages=False)]


def end_as(status: Status) -> Spoil:
    def spoil(parts: Parts) -> None:
        parts.generation.status = status
        parts.events[-1].type = f"generation.{status}"

    return spoil


def spend(**changes: object) -> Spoil:
    def spoil(parts: Parts) -> None:
        for name, value in changes.items():
            setattr(parts.spends[0], name, value)

    return spoil


def buy_again(parts: Parts) -> None:
    copied = parts.spends[0].model_dump(exclude={"id"})
    parts.spends.append(type(parts.spends[0])(**copied | {"purchase": 1, "token": "again", "provider_job_id": "job-2"}))
    parts.charges.append(a_charge("job-2", token="again"))
    parts.generation.cost_usd = 2 * PRICE


def lose_an_event(parts: Parts) -> None:
    del parts.events[1]


def tell_nobody(parts: Parts) -> None:
    parts.events[2].type = "picture.progress"


def answer_otherwise(parts: Parts) -> None:
    parts.asked[0].repeated = {"id": "other"}


def show_an_event_twice(parts: Parts) -> None:
    parts.asked[0].followed[0].seqs = [1, 2, 2, 3]


def leave_an_object(parts: Parts) -> None:
    parts.objects["somewhere"] = "e"


def lose_the_object(parts: Parts) -> None:
    parts.objects.clear()


def change_the_bytes(parts: Parts) -> None:
    parts.objects[parts.assets[0].key] = "e"


def leave_it_pending(parts: Parts) -> None:
    parts.assets[0].state = AssetState.pending


def charge_for_nothing(parts: Parts) -> None:
    parts.charges.append(a_charge("job-9", token="nobody's"))


def charge_twice(parts: Parts) -> None:
    parts.charges.append(a_charge("job-9"))


def let_the_job_run(parts: Parts) -> None:
    parts.charges[0] = a_charge(billed=None)


def charge_not_at_all(parts: Parts) -> None:
    parts.charges.clear()


def forget_who_asked(parts: Parts) -> None:
    parts.asked.clear()


def miscount_the_cost(parts: Parts) -> None:
    parts.generation.cost_usd = Decimal(0)


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert breaches(a_picture()) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (end_as(Status.running), "it is still running"),
        (end_as(Status.failed), "it is failed and has pictures"),
        (end_as(Status.canceled), "nobody asked for that"),
        (end_as(Status.needs_review), "there is nothing to decide"),
        (lose_an_event, "its events are"),
        (tell_nobody, "was told 0 times"),
        (forget_who_asked, "no client was ever told so"),
        (answer_otherwise, "was answered otherwise"),
        (show_an_event_twice, "a follower that began behind 0 saw"),
        (leave_an_object, "is left behind: it has no row"),
        (lose_the_object, "is not in the store"),
        (change_the_bytes, "has other bytes"),
        (leave_it_pending, "is still pending"),
        (charge_for_nothing, "no purchase explains it"),
        (charge_twice, "was charged 2 times"),
        (charge_not_at_all, "the provider did not charge it"),
        (let_the_job_run, "still runs at the provider"),
        (miscount_the_cost, "its purchases"),
        (buy_again, "was bought again"),
        (spend(state=SpendState.released, billed=Billed.no), "was released, and was charged"),
        (spend(state=SpendState.submitted), "is still submitted"),
        (spend(billed=Billed.unknown), "was never asked what it costs"),
        (spend(cost_usd=Decimal(1)), "the bill says"),
    ],
)
def test_each_broken_promise_is_a_breach(spoil: Spoil, words: str) -> None:
    parts = a_picture()
    spoil(parts)

    assert any(words in breach for breach in breaches(parts)), breaches(parts)
