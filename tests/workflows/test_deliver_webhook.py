"""How a delivery goes on over hours and days, on a server that skips time."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.names import delivery_workflow_id
from tests.workflows.hook_stage import AWAY, DELIVERED, GONE, HookStage, refused
from workflows.deliver_webhook import PAUSES_S, pause_s


@pytest.fixture(params=[1000, 0], ids=["cached", "replayed at every task"])
async def hooks(environment: WorkflowEnvironment, request: pytest.FixtureRequest) -> AsyncIterator[HookStage]:
    async with HookStage(environment.client, max_cached_workflows=request.param) as stage:
        yield stage


async def test_what_arrives_at_once_is_one_attempt(hooks: HookStage) -> None:
    handle = await hooks.start(DELIVERED)
    await handle.result()

    assert [order.number for order in hooks.orders] == [1]
    assert await hooks.pauses_s(handle) == []


async def test_a_receiver_that_refuses_is_tried_ten_times_over_days_and_then_given_up(hooks: HookStage) -> None:
    delivery_id = uuid4()
    handle = await hooks.start(delivery_id=delivery_id)
    await handle.result()

    wanted = [pause_s(str(delivery_id), place) for place in range(10)]
    assert [order.number for order in hooks.orders] == list(range(1, 11))
    assert [order.pause_s for order in hooks.orders] == wanted
    assert await hooks.pauses_s(handle) == pytest.approx(wanted[:-1])


async def test_it_ends_as_soon_as_the_receiver_takes_it(hooks: HookStage) -> None:
    handle = await hooks.start(refused(5.0), refused(300.0), DELIVERED)
    await handle.result()

    assert len(hooks.orders) == 3
    assert await hooks.pauses_s(handle) == [5.0, 300.0]


async def test_a_receiver_that_is_gone_is_not_tried_again(hooks: HookStage) -> None:
    await (await hooks.start(refused(5.0), GONE)).result()

    assert len(hooks.orders) == 2


async def test_the_pause_is_what_the_attempt_says_when_the_receiver_asked_for_more(hooks: HookStage) -> None:
    handle = await hooks.start(refused(3600.0, 429), DELIVERED)
    await handle.result()

    assert await hooks.pauses_s(handle) == [3600.0]


async def test_a_database_that_is_away_repeats_the_same_attempt_and_takes_none_from_the_schedule(
    hooks: HookStage,
) -> None:
    await (await hooks.start(AWAY, AWAY, DELIVERED)).result()

    assert [order.number for order in hooks.orders] == [1, 1, 1]


async def test_a_replay_is_a_workflow_of_its_own_that_counts_on_and_begins_the_schedule_anew(hooks: HookStage) -> None:
    delivery_id = uuid4()
    handle = await hooks.start(refused(5.0), DELIVERED, delivery_id=delivery_id, run=2, attempts=10)
    await handle.result()

    assert handle.id == f"delivery/{delivery_id}/2"
    assert delivery_workflow_id(delivery_id) == f"delivery/{delivery_id}"
    assert [(order.run, order.number) for order in hooks.orders] == [(2, 11), (2, 12)]
    assert hooks.orders[0].pause_s == pytest.approx(PAUSES_S[0], rel=0.11)
