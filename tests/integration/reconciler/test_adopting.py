"""Which job a purchase in review may adopt, when, and who is asked about it."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlmodel import col, update

from activities.reconciliation import purchases_to_adopt
from activities.reconciliation.unverified_purchases import UnverifiedPurchases
from contracts.statuses import Billed, SpendState
from db import ledger, lives
from db.columns import now
from db.models import Spend
from db.operation_models import Notice
from errors import ProviderError, ProviderUnavailable
from providers.base import JobReport, LostJob
from tests.integration.conftest import Tables
from tests.integration.reconciler.review_desk import ReviewDesk, found
from tests.integration.test_buying import ABSENT, UNKNOWABLE


async def test_a_purchase_that_cannot_be_judged_yet_does_not_keep_others_from_being_adopted(tables: Tables) -> None:
    desk = ReviewDesk(tables, "one-is-on-its-way")
    await desk.in_review(ABSENT, window_s=60)
    other = await desk.in_review(found("job-of-the-other"))
    await asyncio.gather(desk.round(), return_exceptions=True)

    assert (await desk.row(other)).state is SpendState.submitted


async def test_a_job_that_an_operator_gave_to_another_purchase_is_not_adopted_a_second_time(tables: Tables) -> None:
    desk = ReviewDesk(tables, "given-away")
    first, second = await desk.in_review(UNKNOWABLE), await desk.in_review(found("job-given-away"))
    async with tables.database.transaction() as session:
        await ledger.adopt(session, first, job_id="job-given-away")
        await lives.reopen(session, first.generation_id, "operator_decided")
    await desk.round()

    assert (await desk.row(second)).state is SpendState.unknown


async def test_a_job_that_is_adopted_late_is_as_old_as_its_purchase(tables: Tables) -> None:
    """By its age it is judged whether a file that is not there is not there yet, or not there any more."""
    desk = ReviewDesk(tables, "adopted-late")
    spend = await desk.in_review(found("job-adopted-late"))
    sent_at = now() - timedelta(minutes=50)
    async with tables.database.transaction() as session:
        await session.exec(update(Spend).where(col(Spend.id) == spend.id).values(sent_at=sent_at))
    await desk.round()

    assert (await desk.row(spend)).submitted_at == sent_at


@pytest.mark.parametrize(("error", "is_skipped"), [(ProviderUnavailable(), True), (ProviderError(), False)])
async def test_one_that_cannot_be_told_of_leaves_the_others_to_be_adopted_unless_the_provider_is_away(
    tables: Tables, error: ProviderError, is_skipped: bool
) -> None:
    desk = ReviewDesk(tables, "half-away")
    await desk.in_review(error)
    other = await desk.in_review(found("job-behind-it"))
    if is_skipped:
        with pytest.raises(type(error)):
            await desk.round()
    else:
        await desk.round()

    assert (await desk.row(other)).state is (SpendState.unknown if is_skipped else SpendState.submitted)


async def test_a_tenants_own_account_that_cannot_be_asked_keeps_nobody_elses_purchase_from_being_adopted(
    tables: Tables,
) -> None:
    desk = ReviewDesk(tables, "own-account-away")
    own = await desk.in_review(UNKNOWABLE)
    other = await desk.in_review(found("job-in-our-account"))
    async with tables.database.transaction() as session:  # its key cannot be used here
        await session.exec(update(Spend).where(col(Spend.id) == own.id).values(own_key=True))
    await desk.round()

    assert (await desk.row(other)).state is SpendState.submitted
    assert (await desk.row(own)).state is SpendState.unknown


async def test_a_job_that_carries_our_token_and_is_another_purchases_is_not_stopped(tables: Tables) -> None:
    desk = ReviewDesk(tables, "given-away-running")
    running = LostJob(JobReport(job_id="job-that-runs", state="running"), conclusive=True)
    first, second = await desk.in_review(UNKNOWABLE), await desk.in_review(running)
    async with tables.database.transaction() as session:
        await ledger.adopt(session, first, job_id="job-that-runs")
        await ledger.settle(session, second, cost_usd=Decimal("0.05"), billed=Billed.unknown)
    check = UnverifiedPurchases(tables.database, desk.inquiry)
    for stray in (await check.find("")).strays:
        await check.mend(stray)

    assert desk.provider.canceled == []
    assert (await desk.row(second)).verified_at is not None


@pytest.mark.parametrize(("chance", "is_asked"), [(0.9, False), (0.1, True)])
async def test_what_a_webhook_told_of_long_ago_is_asked_for_seldom(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, chance: float, is_asked: bool
) -> None:
    desk = ReviewDesk(tables, "noticed-long-ago")
    spend = await desk.in_review(found("job-of-long-ago"))
    async with tables.database.transaction() as session:
        await session.exec(update(Spend).where(col(Spend.id) == spend.id).values(sent_at=now() - timedelta(hours=3)))
        long_ago = now() - timedelta(hours=3)
        session.add(Notice(id="msg", provider=desk.name, token=spend.token, job_id="denied", received_at=long_ago))
    monkeypatch.setattr(purchases_to_adopt, "random", SimpleNamespace(random=lambda: chance))
    await desk.round()

    assert ((await desk.row(spend)).state is SpendState.submitted) == is_asked
