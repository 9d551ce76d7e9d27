"""A stack with getimg switched on: a provider whose answers cannot be asked for again, in the whole product."""

from collections.abc import AsyncIterator
from decimal import Decimal
from hashlib import sha256

import pytest

from contracts.statuses import Billed, SpendState
from deploy.local import LocalStack, StackOptions
from deploy.process import Spawn
from tests.acceptance.client import Diorama, Json, chain, only_avatar

SEEDREAM = {"provider": "getimg", "model": "seedream-5-lite"}


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory, spawn: Spawn) -> AsyncIterator[LocalStack]:
    folder = tmp_path_factory.mktemp("getimg")
    providers = frozenset({"replicate", "openai", "getimg"})
    options = StackOptions(fsync=False, providers=providers, sandbox_drawing="fast", sandbox_duration_s=0.3)
    async with LocalStack(folder, options=options, spawn=spawn) as stack:
        yield stack


async def charges(diorama: Diorama, generation_id: str) -> list[Json]:
    """getimg's bill for this generation: it knows no token of ours, but the words are the purchase's own."""
    words = {sha256(spend.prompt.encode()).hexdigest() for spend in await diorama.spends(generation_id)}
    rows: list[Json] = (await diorama.sandbox.get("/admin/charges", params={"provider": "getimg"})).json()
    return [row for row in rows if row["prompt_sha256"] in words]


async def test_a_chain_is_bought_there_and_costs_what_its_answers_say(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(avatar=", in a chain", **SEEDREAM))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert [picture["provider"] for picture in ended["pictures"]] == ["getimg", "getimg"]
    assert [row["billed"] for row in await charges(diorama, accepted["id"])] == [True, True]
    assert {spend.cost_usd for spend in await diorama.spends(accepted["id"])} == {Decimal("0.035")}
    for picture in ended["pictures"]:
        assert await diorama.bytes_of(picture)


async def test_a_picture_that_is_not_there_at_once_is_fetched_again_and_not_bought_again(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox fault=delivery_404 times=2]]", **SEEDREAM))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert len(await charges(diorama, accepted["id"])) == 1


async def test_a_lost_answer_is_bought_once_more_in_the_open_and_booked_as_perhaps_paid(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox fault=lost_response times=1]]", **SEEDREAM))
    ended = await diorama.ended(accepted["id"])
    lost, made = await diorama.spends(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert (lost.state, lost.billed) == (SpendState.settled, Billed.unknown)
    assert (made.state, made.billed, made.possible_duplicate) == (SpendState.settled, Billed.yes, True)
    assert len(await charges(diorama, accepted["id"])) == 2


async def test_a_refused_prompt_costs_nothing_and_says_why(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar(", a nude painting", **SEEDREAM))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "policy_refused"
    assert await charges(diorama, accepted["id"]) == []


async def test_an_account_without_budget_hands_over_to_another_provider(diorama: Diorama) -> None:
    await diorama.fault("insufficient_credit", provider="getimg", operation="create")
    accepted = await diorama.post(only_avatar(", without budget", strategy="cheapest", providers=["getimg", "openai"]))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert [picture["provider"] for picture in ended["pictures"]] == ["openai"]
    assert await charges(diorama, accepted["id"]) == []
