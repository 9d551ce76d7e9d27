"""What goes wrong at providers and between our own processes: nothing is lost, and nothing is bought twice."""

import asyncio

import pytest

from contracts.statuses import SpendState
from tests.acceptance.client import LONG, Diorama, chain, only_avatar


async def test_a_purchase_whose_answer_was_lost_is_found_again_and_not_repeated(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox fault=lost_response times=1]]"))
    ended = await diorama.ended(accepted["id"])
    (spend,) = await diorama.spends(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert spend.sends == 1
    assert len(await diorama.charges(accepted["id"])) == 1


async def test_a_busy_provider_is_asked_again_when_it_said(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox fault=rate_limited retry_after=1 times=1]]"))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.charges(accepted["id"])) == 1


async def test_a_provider_without_budget_hands_over_to_the_next(diorama: Diorama) -> None:
    await diorama.fault("insufficient_credit", provider="replicate", operation="create")
    accepted = await diorama.post(chain())
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert {picture["provider"] for picture in ended["pictures"]} == {"openai"}


async def test_a_synchronous_provider_leaves_no_raw_answer_behind(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(provider="openai"))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]


async def test_an_interrupted_job_is_bought_again_and_the_interruption_costs_nothing(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox fault=interrupted times=1]]"))
    ended = await diorama.ended(accepted["id"])
    states = [spend.state for spend in await diorama.spends(accepted["id"])]

    assert ended["status"] == "succeeded", ended["error"]
    assert states == [SpendState.released, SpendState.settled]


@pytest.mark.parametrize(
    "fault", ["cut_download after_bytes=200 times=1", "corrupt_image times=1", "delivery_404 times=2"]
)
async def test_a_picture_that_arrives_damaged_is_fetched_again_and_not_bought_again(
    diorama: Diorama, fault: str
) -> None:
    accepted = await diorama.post(only_avatar(f"[[sandbox fault={fault}]]"))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.spends(accepted["id"])) == 1


async def test_without_webhooks_polling_finds_the_end(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox fault=webhook_drop]]"))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]


async def test_duplicate_and_late_webhooks_change_nothing(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(scene="[[sandbox fault=webhook_duplicate]]"))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]


async def test_a_worker_that_is_killed_in_mid_flight_is_replaced_without_a_second_purchase(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(scene=LONG))
    await diorama.bought(accepted["id"], "scene")
    await diorama.stack.kill("worker")
    await diorama.wind_sandbox()
    await diorama.stack.start_service("worker")
    ended = await diorama.ended(accepted["id"], within_s=150)

    assert ended["status"] == "succeeded", ended["error"]
    assert [spend.sends for spend in await diorama.spends(accepted["id"])] == [1, 1]
    assert len(await diorama.charges(accepted["id"])) == 2


async def test_a_worker_that_is_asked_to_stop_hands_its_work_over(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar(LONG))
    await diorama.bought(accepted["id"])
    await diorama.stack.restart("worker")
    await diorama.wind_sandbox()
    ended = await diorama.ended(accepted["id"], within_s=150)

    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.charges(accepted["id"])) == 1


async def test_what_is_accepted_while_the_engine_is_down_is_made_when_it_is_back(diorama: Diorama) -> None:
    await diorama.stack.kill("temporal")
    accepted = await diorama.post(chain())
    assert (await diorama.get(accepted["id"]))["status"] == "queued"
    await diorama.stack.start_service("temporal")
    ended = await diorama.ended(accepted["id"], within_s=150)

    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.charges(accepted["id"])) == 2


async def test_a_store_that_is_away_delays_the_picture_and_buys_nothing_again(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar(LONG))
    await diorama.bought(accepted["id"])
    await diorama.stack.kill("store")
    await diorama.wind_sandbox()
    await asyncio.sleep(3)  # the outage itself: the picture is ready and cannot be stored
    await diorama.stack.start_service("store")
    ended = await diorama.ended(accepted["id"], within_s=150)

    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.charges(accepted["id"])) == 1


async def test_a_database_that_restarts_in_mid_flight_is_waited_for(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(scene=LONG))
    await diorama.bought(accepted["id"], "scene")
    await diorama.stack.kill("postgres")
    await diorama.wind_sandbox()
    await diorama.stack.start_service("postgres")
    ended = await diorama.ended(accepted["id"], within_s=150)

    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.charges(accepted["id"])) == 2


async def test_a_hundred_chains_at_once_all_end_and_cost_two_pictures_each(diorama: Diorama) -> None:
    accepted = await asyncio.gather(*(diorama.post(chain()) for _ in range(100)))
    ended = await asyncio.gather(*(diorama.ended(one["id"], within_s=150) for one in accepted))

    assert {one["status"] for one in ended} == {"succeeded"}
