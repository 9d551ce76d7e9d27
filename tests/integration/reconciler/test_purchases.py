"""Purchases that nobody follows any more, against the sandbox's own books: each ends truthfully, and once."""

import asyncio
from decimal import Decimal

import pytest

from contracts.statuses import Billed, SpendState, Status
from db import events, ledger, spend_lookup
from db.models import Generation, Spend
from db.operation_models import Notice
from errors import PurchaseNeverMade
from providers.base import JobReport
from tests.integration.reconciler.yard import PATIENT, Yard

SLOW = "a fox [[sandbox duration=60]]"


async def kinds(yard: Yard, generation: Generation) -> list[str]:
    return [event.type for event in await yard.events(generation.id)]


async def job_ended(yard: Yard, job: JobReport) -> JobReport:
    async with asyncio.timeout(120):
        while not (report := await yard.replicate.poll(job.job_id)).is_final:  # noqa: ASYNC110 - it ends at the provider
            await asyncio.sleep(0.02)
    return report


async def left_open(yard: Yard, state: SpendState, generation: Generation) -> Spend:
    """A purchase that a late attempt began after its generation was closed."""
    spend = await yard.held(generation)
    if state is SpendState.sent:
        spend = await yard.sent(spend)
    return spend


async def in_review(yard: Yard, provider: str = "replicate") -> tuple[Generation, Spend]:
    generation = await yard.running()
    spend = await yard.unknown(await yard.held(generation, provider))
    return await yard.closed(generation, "needs_review"), spend


# Still open although the generation is closed


async def test_a_hold_of_a_closed_generation_is_given_back(yard: Yard) -> None:
    generation = await yard.closed(await yard.running())
    await left_open(yard, SpendState.held, generation)

    assert await yard.findings("open_purchases") == [("purchase_open", "released")]
    assert (await yard.spend(generation.id)).state is SpendState.released
    assert await yard.findings("open_purchases") == []


async def test_a_job_that_was_bought_for_a_closed_generation_is_stopped_and_paid(yard: Yard) -> None:
    generation = await yard.closed(await yard.running())
    job = await yard.bought(await left_open(yard, SpendState.sent, generation), SLOW)

    assert await yard.findings("open_purchases") == [("purchase_open", "settled")]
    spend = await yard.spend(generation.id)
    assert (spend.state, spend.billed, spend.provider_job_id) == (SpendState.settled, Billed.yes, job.job_id)
    assert (await yard.replicate.poll(job.job_id)).state == "canceled"
    assert (await yard.generation(generation.id)).cost_usd == spend.cost_usd
    assert (await kinds(yard, generation))[-2:] == ["generation.cost_corrected", "reconciler.purchase_open"]


async def test_a_purchase_that_never_reached_the_provider_costs_nothing(yard: Yard) -> None:
    generation = await yard.closed(await yard.running())
    await left_open(yard, SpendState.sent, generation)

    assert await yard.findings("open_purchases") == [("purchase_open", "released")]
    assert (await yard.spend(generation.id)).error_code == PurchaseNeverMade.code


async def test_a_purchase_that_may_still_be_on_its_way_is_looked_at_later_and_told_once(yard: Yard) -> None:
    generation = await yard.closed(await yard.running())
    await yard.sent(await yard.held(generation), window_s=60)

    for _ in range(2):
        assert await yard.findings("open_purchases") == [("purchase_open", "postponed")]
    assert (await yard.spend(generation.id)).state is SpendState.sent
    assert [row.action for row in await yard.rows()] == ["postponed"]


async def test_a_purchase_at_a_provider_that_cannot_be_asked_counts_with_what_was_held(yard: Yard) -> None:
    generation = await yard.closed(await yard.running())
    await yard.sent(await yard.held(generation, "openai"))

    assert await yard.findings("open_purchases") == [("purchase_open", "settled")]
    spend = await yard.spend(generation.id)
    assert (spend.billed, spend.cost_usd) == (Billed.unknown, spend.hold_usd)


async def test_purchases_of_live_generations_and_those_in_review_are_left_alone(yard: Yard) -> None:
    await yard.sent(await yard.held(await yard.running()))
    await in_review(yard)

    assert await yard.findings("open_purchases") == []


async def test_a_generation_that_was_closed_just_now_is_left_to_its_last_attempts(yard: Yard) -> None:
    yard.rules = PATIENT
    await left_open(yard, SpendState.held, await yard.closed(await yard.running()))

    assert await yard.findings("open_purchases") == []


async def test_an_attempt_that_still_holds_an_open_purchase_is_fenced_off(yard: Yard) -> None:
    from errors import LeaseLost

    generation = await yard.closed(await yard.running())
    stale = await left_open(yard, SpendState.held, generation)
    await yard.findings("open_purchases")

    with pytest.raises(LeaseLost):
        await yard.sent(stale)


# Ended without the provider's word


async def unverified(
    yard: Yard, provider: str = "replicate", *, job: str | None = None
) -> tuple[Generation, JobReport | None]:
    """A purchase that was sent, and counted with its hold when the generation failed."""
    generation = await yard.running()
    spend = await yard.sent(await yard.held(generation, provider))
    report = await yard.bought(spend, job) if job else None
    return await yard.closed(generation), report


async def test_a_purchase_that_was_counted_and_never_made_is_corrected(yard: Yard) -> None:
    generation, _ = await unverified(yard)
    assert generation.cost_usd == Decimal("0.05")

    assert await yard.findings("unverified_purchases") == [("purchase_unverified", "corrected")]
    spend = await yard.spend(generation.id)
    assert (spend.state, spend.billed, spend.cost_usd) == (SpendState.settled, Billed.no, Decimal(0))
    assert (await yard.generation(generation.id)).cost_usd == Decimal(0)
    assert await yard.findings("unverified_purchases") == []


async def test_a_purchase_that_was_made_is_confirmed_with_its_job(yard: Yard) -> None:
    generation, job = await unverified(yard, job="a fox")
    assert job is not None
    ended = await job_ended(yard, job)

    assert await yard.findings("unverified_purchases") == [("purchase_unverified", "corrected")]
    spend = await yard.spend(generation.id)
    assert (spend.billed, spend.provider_job_id) == (Billed.yes, job.job_id)
    assert ended.cost_usd is not None
    assert spend.cost_usd == ended.cost_usd == (await yard.generation(generation.id)).cost_usd


async def test_a_job_that_still_runs_for_an_ended_purchase_is_stopped(yard: Yard) -> None:
    _, job = await unverified(yard, job=SLOW)
    assert job is not None
    await yard.check("unverified_purchases")

    assert (await yard.replicate.poll(job.job_id)).state == "canceled"


async def test_what_nobody_can_say_is_asked_for_once_and_stays_as_it_was_counted(yard: Yard) -> None:
    generation, _ = await unverified(yard, "openai")

    assert await yard.findings("unverified_purchases") == []
    spend = await yard.spend(generation.id)
    assert (spend.billed, spend.cost_usd) == (Billed.unknown, spend.hold_usd)
    assert spend.verified_at is not None


async def test_what_the_provider_has_forgotten_stays_as_it_was_counted(yard: Yard) -> None:
    generation, _ = await unverified(yard)
    await yard.set("spend", (await yard.spend(generation.id)).id, sent_at="now() - interval '1 hour'")

    assert await yard.findings("unverified_purchases") == []
    assert (await yard.spend(generation.id)).billed is Billed.unknown


async def test_a_dry_run_asks_and_changes_nothing(yard: Yard) -> None:
    generation, _ = await unverified(yard)

    assert await yard.findings("unverified_purchases", dry_run=True) == [("purchase_unverified", "found")]
    assert (await yard.spend(generation.id)).verified_at is None


# Waiting for people


async def test_a_job_that_shows_up_after_all_is_adopted_and_the_story_goes_on(yard: Yard) -> None:
    generation, spend = await in_review(yard)
    job = await yard.bought(spend)

    assert await yard.findings("purchases_to_adopt") == [("purchase_adoptable", "adopted")]
    adopted, row = await yard.spend(generation.id), await yard.generation(generation.id)
    assert (adopted.state, adopted.provider_job_id) == (SpendState.submitted, job.job_id)
    assert (row.status, row.run) == (Status.queued, 2)
    assert events.REOPENED in await kinds(yard, generation)
    assert await yard.findings("purchases_to_adopt") == []


async def test_a_purchase_in_review_that_was_never_made_is_released_so_that_it_is_bought_anew(yard: Yard) -> None:
    generation, _ = await in_review(yard)

    assert await yard.findings("purchases_to_adopt") == [("purchase_adoptable", "released")]
    spend = await yard.spend(generation.id)
    assert (spend.state, spend.error_code) == (SpendState.released, PurchaseNeverMade.code)
    assert PurchaseNeverMade.rebuy
    assert (await yard.generation(generation.id)).status is Status.queued


async def test_a_job_that_a_webhook_named_is_adopted_though_the_list_no_longer_shows_it(yard: Yard) -> None:
    generation, spend = await in_review(yard)
    job = await yard.bought(await yard.held(await yard.running()))  # it carries another token
    await yard.set("spend", spend.id, sent_at="now() - interval '2 hours'")
    async with yard.tables.database.transaction() as session:
        notice = Notice(id="msg-1", provider="replicate", token=spend.token, job_id=job.job_id)
        assert await spend_lookup.receive(session, notice)

    assert await yard.findings("purchases_to_adopt") == [("purchase_adoptable", "adopted")]
    assert (await yard.spend(generation.id)).provider_job_id == job.job_id


async def test_a_purchase_that_people_have_resolved_meanwhile_is_left_as_they_resolved_it(yard: Yard) -> None:
    generation, spend = await in_review(yard)
    await yard.bought(spend)
    checks = {check.name: check for check in yard.checks()}
    (stray,) = (await checks["purchases_to_adopt"].find("")).strays
    async with yard.tables.database.transaction() as session:
        await ledger.settle(session, spend, cost_usd=Decimal("0.01"), billed=Billed.unknown)

    assert await checks["purchases_to_adopt"].mend(stray) is None
    assert (await yard.generation(generation.id)).status is Status.needs_review


async def test_people_decide_where_no_provider_can_say_anything(yard: Yard) -> None:
    await in_review(yard, "openai")
    _, old = await in_review(yard)
    await yard.set("spend", old.id, sent_at="now() - interval '2 hours'")

    assert await yard.findings("purchases_to_adopt") == []


# Jobs that nobody waits for


async def second_job(yard: Yard, *, prompt: str = SLOW) -> tuple[Generation, JobReport]:
    """A second job under the token of a purchase whose first one is known."""
    generation = await yard.running()
    spend = await yard.sent(await yard.held(generation))
    first = await yard.bought(spend)
    async with yard.tables.database.transaction() as session:
        await ledger.mark_submitted(session, spend, job_id=first.job_id)
    return generation, await yard.bought(spend, prompt)


async def test_a_second_job_under_one_token_is_canceled_and_put_on_record(yard: Yard) -> None:
    generation, job = await second_job(yard)

    assert await yard.findings("stray_jobs") == [("stray_job", "recorded")]
    first, stray = await yard.spends(generation.id)
    assert first.state is SpendState.submitted, "the purchase itself goes on"
    assert (stray.purchase, stray.provider_job_id, stray.state) == (1000, job.job_id, SpendState.settled)
    assert (stray.error_code, stray.possible_duplicate, stray.token != first.token) == ("stray_job", True, True)
    assert (await yard.replicate.poll(job.job_id)).state == "canceled"
    assert await yard.findings("stray_jobs") == []


async def test_a_stray_job_that_many_rounds_find_at_once_is_recorded_once(yard: Yard) -> None:
    generation, _ = await second_job(yard)
    await asyncio.gather(*(yard.check("stray_jobs") for _ in range(4)))

    assert len(await yard.spends(generation.id)) == 2


async def test_a_stray_job_of_a_generation_that_has_ended_is_added_to_its_cost(yard: Yard) -> None:
    generation, job = await second_job(yard, prompt="a fox")
    await job_ended(yard, job)
    before = (await yard.closed(generation)).cost_usd
    await yard.check("stray_jobs")
    _, stray = await yard.spends(generation.id)

    assert before is not None
    assert stray.cost_usd
    assert (await yard.generation(generation.id)).cost_usd == before + stray.cost_usd


async def test_a_job_that_shows_up_after_its_purchase_was_given_up_is_put_on_record(yard: Yard) -> None:
    generation = await yard.running()
    spend = await yard.held(generation)
    async with yard.tables.database.transaction() as session:
        await ledger.release(session, spend, error_code=PurchaseNeverMade.code)
    await yard.bought(spend, SLOW)

    assert await yard.findings("stray_jobs") == [("stray_job", "recorded")]


@pytest.mark.parametrize("state", [SpendState.held, SpendState.sent, SpendState.unknown])
async def test_a_job_whose_purchase_still_looks_for_it_is_left_to_it(yard: Yard, state: SpendState) -> None:
    spend = await yard.held(await yard.running())
    if state is not SpendState.held:
        spend = await (yard.sent(spend) if state is SpendState.sent else yard.unknown(spend))
    await yard.bought(spend)

    assert await yard.findings("stray_jobs") == []


async def test_a_job_that_outlived_its_purchase_is_canceled(yard: Yard) -> None:
    generation = await yard.running()
    spend = await yard.sent(await yard.held(generation))
    job = await yard.bought(spend, SLOW)
    async with yard.tables.database.transaction() as session:
        spend = await ledger.mark_submitted(session, spend, job_id=job.job_id)
        await ledger.settle(session, spend, cost_usd=Decimal("0.02"))

    assert await yard.findings("stray_jobs") == [("stray_job", "canceled")]
    assert (await yard.replicate.poll(job.job_id)).state == "canceled"
    assert len(await yard.spends(generation.id)) == 1


async def test_jobs_of_others_at_the_same_account_are_not_touched(yard: Yard) -> None:
    unknown_here = await yard.held(await yard.running())
    job = await yard.bought(Spend(**unknown_here.model_dump() | {"token": "of-another-installation"}), SLOW)

    assert await yard.findings("stray_jobs") == []
    assert not (await yard.replicate.poll(job.job_id)).is_final


async def test_a_provider_that_does_not_answer_leaves_everything_for_the_next_round(yard: Yard) -> None:
    generation, _ = await second_job(yard)
    await yard.sandbox.arm("server_error", operation="list", times=20)
    report = await yard.checked("stray_jobs")

    assert report.skipped == "provider_unavailable"
    assert len(await yard.spends(generation.id)) == 1
