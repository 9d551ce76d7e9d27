"""WaveSpeed in the whole product: pictures made there, webhooks believed, a lost purchase that names itself, a job that runs on."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from contracts.statuses import Billed, SpendState
from deploy.local import LocalStack, StackOptions
from deploy.process import Spawn
from tests.acceptance.client import LONG, Diorama, chain, only_avatar

AT_WAVESPEED: dict[str, Any] = {"provider": "wavespeed", "model": "wavespeed-ai/flux-schnell"}


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory, spawn: Spawn) -> AsyncIterator[LocalStack]:
    """A stack that has a key of WaveSpeed's only."""
    options = StackOptions(
        fsync=False, providers=frozenset({"wavespeed"}), sandbox_drawing="fast", sandbox_duration_s=0.3
    )
    async with LocalStack(tmp_path_factory.mktemp("wavespeed"), options=options, spawn=spawn) as stack:
        yield stack


async def test_a_scene_is_made_from_an_avatar_and_costs_what_is_billed(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(provider="wavespeed", model="bytedance/seedream-v4"))
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert {picture["provider"] for picture in ended["pictures"]} == {"wavespeed"}
    charges = await diorama.charges(accepted["id"])
    assert [charge["model"] for charge in charges] == ["bytedance/seedream-v4", "bytedance/seedream-v4/edit"]
    assert Decimal(str(ended["cost_usd"])) == sum(Decimal(str(charge["amount_usd"])) for charge in charges)


async def test_a_picture_is_drawn_changed_and_enlarged_each_by_the_model_that_can(diorama: Diorama) -> None:
    async def made(body: dict[str, Any]) -> dict[str, Any]:
        ended = await diorama.ended((await diorama.post({"provider": "wavespeed", **body}))["id"])
        assert ended["status"] == "succeeded", ended["error"]
        (picture,) = ended["pictures"]
        found: dict[str, Any] = picture
        return found

    flux = {"kind": "image", "prompt": "a lighthouse made of glass", "model": "wavespeed-ai/flux-dev"}
    drawn = await made({**flux, "traits": {"seed": 7, "steps": 20, "guidance": 4}})
    start = {"image_asset_ids": [drawn["asset_id"]], "image_use": "start"}
    changed = await made({**flux, **start, "traits": {"strength": 0.4}})
    larger = await made(
        {"kind": "enhance", "image_asset_id": changed["asset_id"], "scale": 2, "model": "wavespeed-ai/real-esrgan"}
    )

    assert [one["model"].rpartition("/")[2] for one in (drawn, changed, larger)] == [
        "flux-dev",
        "flux-dev",
        "real-esrgan",
    ]
    assert (larger["width"], larger["height"]) == (2 * changed["width"], 2 * changed["height"])


async def test_a_webhook_of_its_own_signature_is_taken(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar(**AT_WAVESPEED))
    await diorama.ended(accepted["id"])
    (charge,) = await diorama.charges(accepted["id"])

    async def told() -> list[int]:
        rows = (await diorama.sandbox.get("/admin/webhooks")).json()
        return [row["status"] for row in rows if row["prediction_id"] == charge["job_id"]]

    # A busy machine may have the API say 503 at first, or nothing in time (0), and be told once more.
    seen = await diorama.until(told, lambda statuses: 204 in statuses)
    assert [status for status in seen if status not in {0, 503}] == [204]


async def test_a_purchase_whose_answer_was_lost_is_named_by_its_webhook_and_not_repeated(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox fault=lost_response times=1]]", **AT_WAVESPEED))
    ended = await diorama.ended(accepted["id"])
    (spend,) = await diorama.spends(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert spend.sends == 1
    assert len(await diorama.charges(accepted["id"])) == 1


async def test_the_job_of_a_canceled_generation_runs_on_and_is_settled_as_it_ends(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar(LONG, **AT_WAVESPEED))
    await diorama.bought(accepted["id"])
    (bought,) = await diorama.spends(accepted["id"])

    (await diorama.cancel(accepted["id"])).raise_for_status()
    # By what takes the picture back, which gives up asking for the end of the job after a while.
    await diorama.until(lambda: diorama.spends(accepted["id"]), lambda spends: spends[0].lease > bought.lease)
    await diorama.wind_sandbox()
    ended = await diorama.ended(accepted["id"])

    (spend,) = await diorama.spends(accepted["id"])
    assert ended["status"] == "canceled"
    assert (spend.state, spend.billed) == (SpendState.settled, Billed.yes)
    assert [charge["billed"] for charge in await diorama.charges(accepted["id"])] == [True]
