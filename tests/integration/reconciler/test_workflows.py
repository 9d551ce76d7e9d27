"""Generations against the engine's runs: started, told again, taken back, reminded of a wish to stop."""

from dataclasses import replace

import pytest
from sqlmodel import select
from temporalio.client import WorkflowExecutionStatus

from contracts.names import delivery_workflow_id, take_back_id, workflow_id
from contracts.statuses import Status
from db import events, generations, ledger
from db.webhook_models import Delivery, WebhookEndpoint
from errors import GenerationCanceled
from tests.integration.reconciler.yard import PATIENT, Yard


async def engine_status(yard: Yard, name: str) -> WorkflowExecutionStatus | None:
    return (await yard.engine.get_workflow_handle(name).describe()).status


async def test_an_accepted_generation_that_was_never_started_is_started(yard: Yard) -> None:
    generation = await yard.queued()

    assert await yard.findings("workflows") == [("generation_not_started", "started")]
    assert await engine_status(yard, workflow_id(generation.id)) is WorkflowExecutionStatus.RUNNING
    assert (await yard.generation(generation.id)).dispatched_at is not None
    assert await yard.findings("workflows") == []


async def test_a_queued_generation_that_the_engine_has_forgotten_is_started_again(yard: Yard) -> None:
    generation = await yard.queued()
    await yard.set("generation", generation.id, dispatched_at="now()")

    assert await yard.findings("workflows") == [("generation_not_started", "started")]
    assert await engine_status(yard, workflow_id(generation.id)) is WorkflowExecutionStatus.RUNNING


async def test_a_generation_that_was_accepted_just_now_is_left_to_the_api(yard: Yard) -> None:
    yard.rules = PATIENT
    await yard.queued()

    assert await yard.findings("workflows") == []


async def test_a_running_generation_whose_run_the_engine_lost_is_told_once_more(yard: Yard) -> None:
    generation = await yard.running()

    item = await yard.only("workflows")
    row = await yard.generation(generation.id)

    assert (item.kind, item.action, item.facts["engine"]) == ("workflow_gone", "reopened", "not_found")
    assert (row.status, row.run, row.dispatched_at) == (Status.queued, 2, None)
    kinds = [event.type for event in await yard.events(generation.id)]
    assert kinds[-2:] == [events.REOPENED, "reconciler.workflow_gone"]


async def test_a_lost_run_that_its_client_does_not_want_any_more_is_taken_back_instead(yard: Yard) -> None:
    generation = await yard.running()
    async with yard.tables.database.transaction() as session:
        await generations.request_cancel(session, generation)

    assert await yard.findings("workflows") == [("workflow_gone", "take_back_started")]
    assert (await yard.generation(generation.id)).status is Status.running


@pytest.mark.parametrize("status", [Status.queued, Status.running])
async def test_a_generation_whose_workflow_was_terminated_is_taken_back(yard: Yard, status: Status) -> None:
    generation = await (yard.queued() if status is Status.queued else yard.running())
    await yard.set("generation", generation.id, dispatched_at="now()")
    name = await yard.started(generation)
    await yard.engine.get_workflow_handle(name).terminate()

    item = await yard.only("workflows")

    assert (item.kind, item.action, item.facts["engine"]) == ("workflow_gone", "take_back_started", "terminated")
    taking_back = take_back_id(generation.id, 1)
    assert await engine_status(yard, taking_back) is WorkflowExecutionStatus.RUNNING
    assert await yard.findings("workflows") == [], "it is being taken back"


async def test_a_taking_back_that_was_itself_terminated_is_started_again(yard: Yard) -> None:
    generation = await yard.running()
    await yard.engine.get_workflow_handle(await yard.started(generation)).terminate()
    await yard.findings("workflows")
    await yard.engine.get_workflow_handle(take_back_id(generation.id, 1)).terminate()

    assert await yard.findings("workflows") == [("workflow_gone", "take_back_started")]


async def test_a_run_that_has_closed_a_moment_ago_may_still_be_writing_its_end(yard: Yard) -> None:
    yard.rules = replace(PATIENT, not_started=yard.rules.not_started)
    generation = await yard.running()
    await yard.engine.get_workflow_handle(await yard.started(generation)).terminate()

    assert await yard.findings("workflows") == []


async def test_a_generation_that_is_being_worked_on_is_not_touched(yard: Yard) -> None:
    generation = await yard.running()
    await yard.started(generation)

    assert await yard.findings("workflows") == []
    assert await yard.findings("forgotten_cancels") == []


async def test_a_dry_run_shows_and_starts_nothing(yard: Yard) -> None:
    waiting, gone = await yard.queued(), await yard.running()

    found = await yard.findings("workflows", dry_run=True)

    assert sorted(found) == [("generation_not_started", "found"), ("workflow_gone", "found")]
    assert (await yard.generation(waiting.id)).dispatched_at is None
    assert (await yard.generation(gone.id)).run == 1
    assert await yard.rows() == []


async def test_a_wish_to_stop_that_the_engine_did_not_hear_is_passed_on(yard: Yard) -> None:
    generation = await yard.running()
    name = await yard.started(generation)
    async with yard.tables.database.transaction() as session:
        await generations.request_cancel(session, generation)

    assert await yard.findings("forgotten_cancels") == [("cancel_forgotten", "reminded")]
    extended = (await yard.engine.get_workflow_handle(name).describe()).raw_description.workflow_extended_info
    assert extended.cancel_requested
    assert await yard.findings("forgotten_cancels") == [], "now the engine knows"


async def test_many_live_generations_are_looked_at_page_by_page(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    from activities.reconciliation import check, workflows

    monkeypatch.setattr(workflows, "PAGE", 2)
    monkeypatch.setattr(workflows, "next_after", lambda rows: check.next_after(rows, 2))
    made = [await yard.queued() for _ in range(3)]

    first = await yard.check("workflows", dry_run=True)
    second = await yard.check("workflows", dry_run=True, after=first.after)

    assert [item.generation_id for item in (*first.findings, *second.findings)] == [row.id for row in made]
    assert second.after == ""


async def a_delivery(yard: Yard) -> Delivery:
    """An end of a generation that is to be told to one endpoint."""
    async with yard.tables.database.transaction() as session:
        session.add(WebhookEndpoint(tenant_id=yard.tables.tenant_id, url="https://example.com/hook"))
    await yard.closed(await yard.running())
    return await the_delivery(yard)


async def the_delivery(yard: Yard) -> Delivery:
    async with yard.tables.database.transaction() as session:
        return (await session.exec(select(Delivery))).one()


async def test_a_webhook_whose_delivery_was_never_started_is_started(yard: Yard) -> None:
    delivery = await a_delivery(yard)

    assert await yard.findings("deliveries") == [("delivery_not_started", "started")]
    assert await engine_status(yard, delivery_workflow_id(delivery.id, 1)) is WorkflowExecutionStatus.RUNNING
    assert await yard.findings("deliveries") == []


async def test_a_webhook_whose_delivery_was_terminated_goes_on_by_a_further_run(yard: Yard) -> None:
    delivery = await a_delivery(yard)
    await yard.findings("deliveries")
    await yard.engine.get_workflow_handle(delivery_workflow_id(delivery.id, 1)).terminate()

    assert await yard.findings("deliveries") == [("delivery_gone", "reopened")]
    row = await the_delivery(yard)
    assert (row.run, row.dispatched_at) == (2, None)
    assert await yard.findings("deliveries") == [("delivery_not_started", "started")]


async def test_a_webhook_that_waits_for_its_next_attempt_is_not_touched(yard: Yard) -> None:
    delivery = await a_delivery(yard)
    await yard.set("delivery", delivery.id, dispatched_at="now()", next_attempt_at="now() + interval '5 minutes'")

    assert await yard.findings("deliveries") == []


@pytest.mark.parametrize("trace", ["purchase", "picture"])
async def test_a_lost_run_that_was_taking_back_what_it_had_made_is_taken_back_to_the_end(
    yard: Yard, trace: str
) -> None:
    """Told again, its story would come to an end that nobody asked for: what it needs is gone."""
    generation = await yard.running()
    if trace == "picture":
        await yard.tools.keeper.remove((await yard.picture(generation)).id)
    else:
        spend = await yard.held(generation)
        async with yard.tables.database.transaction() as session:
            await ledger.release(session, spend, error_code=GenerationCanceled.code)

    assert await yard.findings("workflows") == [("workflow_gone", "take_back_started")]
    assert (await yard.generation(generation.id)).run == 1
    assert await yard.findings("workflows") == [], "it is being taken back"
