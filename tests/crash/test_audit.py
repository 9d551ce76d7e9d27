"""The audit finds each thing that can be wrong, and nothing with what is right."""

from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import pytest

from contracts.statuses import AssetState, Billed, SpendState, Status
from db.columns import now
from tests.crash.audit import audit
from tests.crash.scenarios import all_scenarios
from tests.crash.whole_evidence import PRICE, Parts, a_budget, a_charge, a_picture

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


def go_on_holding(parts: Parts) -> None:
    parts.generation.hold_usd = PRICE


def promise_less(parts: Parts) -> None:
    parts.generation.quote_max_usd = PRICE - Decimal("0.000001")


def count(held_usd: Decimal, spent_usd: Decimal) -> Spoil:
    def spoil(parts: Parts) -> None:
        parts.budgets[0] = a_budget(held_usd, spent_usd)

    return spoil


def park(hold_usd: Decimal) -> Spoil:
    """It costs PRICE, and twice of that was promised."""

    def spoil(parts: Parts) -> None:
        end_as(Status.needs_review)(parts)
        parts.generation.quote_max_usd, parts.generation.hold_usd = 2 * PRICE, hold_usd

    return spoil


def erase(parts: Parts) -> None:
    parts.generation.erasure_id, parts.generation.deleted_at = uuid4(), now()
    parts.assets[0].state = AssetState.deleted
    parts.objects.clear()
    parts.asked[0].erased = True


def erase_by_halves(parts: Parts) -> None:
    erase(parts)
    parts.unforgotten.add(parts.generation.id)


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert breaches(a_picture()) == []


def test_nothing_is_wrong_with_what_was_erased_whole() -> None:
    parts = a_picture()
    erase(parts)

    assert breaches(parts) == []


def test_of_what_waits_for_people_the_rest_of_its_price_is_held() -> None:
    parts = a_picture()
    park(PRICE)(parts)

    assert not [words for words in breaches(parts) if "held" in words]


def test_a_bill_above_the_price_and_a_job_that_nobody_ordered_break_no_promise() -> None:
    parts = a_picture()
    spend(cost_usd=2 * PRICE)(parts)
    stray = parts.spends[0].model_dump(exclude={"id"}) | {"purchase": 1000, "token": "stray", "error_code": "stray_job"}
    parts.spends.append(type(parts.spends[0])(**stray))

    assert not [words for words in breaches(parts) if "promised" in words]


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
        (go_on_holding, "still held for it"),
        (park(Decimal(0)), "still held for it"),
        (park(2 * PRICE), "still held for it"),
        (promise_less, "were promised"),
        (count(Decimal(0), PRICE + Decimal("0.01")), "the rows say"),
        (count(PRICE, PRICE), "the rows say"),
        (buy_again, "was bought again"),
        (erase_by_halves, "was to be erased, and has words"),
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
