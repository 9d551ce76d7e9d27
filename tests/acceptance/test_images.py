"""Images and enhancements on the whole stack: from the client's own words and pictures to stored ones, or to nothing."""

import asyncio
from collections import Counter
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from contracts.statuses import Billed, SpendState
from imaging.inspect import inspect
from tests.acceptance.client import LONG, Diorama, Json

WORDS = "a lighthouse made of glass, at dusk"
VARIANTS = ["variant-1", "variant-2", "variant-3", "variant-4"]


def image(marker: str = "", **options: Any) -> Json:
    return {"kind": "image", "prompt": WORDS + marker, **options}


async def uploaded(diorama: Diorama, colour: str, *, width: int = 160, height: int = 120) -> str:
    body = BytesIO()
    Image.new("RGB", (width, height), colour).save(body, "PNG")
    headers = {"Content-Type": "image/png"}
    answer = await diorama.http.post("/v1/assets", content=body.getvalue(), headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_four_variants_in_the_wanted_size_and_format(diorama: Diorama) -> None:
    await diorama.settings(drawing="full")  # the fast ones are thumbnails
    options: Json = {"count": 4, "size": "800x600", "traits": {"output_format": "webp"}}
    ended = await diorama.ended((await diorama.post(image(**options)))["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert [picture["step"] for picture in ended["pictures"]] == VARIANTS
    for picture in ended["pictures"]:
        facts = inspect(await diorama.bytes_of(picture), max_bytes=40_000_000)
        assert (facts.width, facts.height, facts.content_type) == (800, 600, "image/webp")
    assert len({picture["sha256"] for picture in ended["pictures"]}) == 4
    assert len(await diorama.charges(ended["id"])) == 4
    assert ended["progress"] == 1.0


async def test_variants_are_made_at_the_same_time(diorama: Diorama) -> None:
    accepted = await diorama.post(image("[[sandbox fault=stuck]]", count=4))

    async def under_way() -> Counter[SpendState]:
        return Counter(spend.state for spend in await diorama.spends(accepted["id"]))

    await diorama.until(under_way, lambda states: states[SpendState.submitted] == 4)
    await diorama.cancel(accepted["id"])
    ended = await diorama.ended(accepted["id"])
    jobs = (await diorama.sandbox.get("/admin/jobs")).json()

    mine = {spend.provider_job_id for spend in await diorama.spends(accepted["id"])}
    assert ended["status"] == "canceled"
    assert {job["status"] for job in jobs if job["id"] in mine} == {"canceled"}
    assert sum(report["canceled_jobs"] for report in ended["rollback"]) == 4


async def test_one_refused_variant_takes_all_back_and_exactly_what_was_paid_is_settled(diorama: Diorama) -> None:
    accepted = await diorama.post(image("[[sandbox fault=output_policy times=1]]", count=4))
    ended = await diorama.ended(accepted["id"], within_s=150)
    spends = await diorama.spends(accepted["id"])
    bill = [row for row in await diorama.charges(accepted["id"]) if row["billed"]]
    charged = {row["correlation"]: Decimal(str(row["amount_usd"])) for row in bill}
    paid = {spend.token: spend.cost_usd for spend in spends if spend.billed is Billed.yes}
    perhaps = {spend.token for spend in spends if spend.billed is Billed.unknown}  # the refused one: it does not say

    assert (ended["status"], ended["error"]["code"]) == ("failed", "policy_refused")
    assert ended["error"]["step"] in VARIANTS
    assert ended["pictures"] == []
    assert [report["step"] for report in ended["rollback"]] == VARIANTS[::-1]
    assert Counter(spend.error_code for spend in spends)["policy_refused"] == 1
    assert paid.items() <= charged.items()
    assert charged.keys() <= paid.keys() | perhaps
    assert Decimal(ended["cost_usd"]) == sum((spend.cost_usd or Decimal(0) for spend in spends), Decimal(0))


async def test_an_edit_with_two_uploaded_pictures(diorama: Diorama) -> None:
    pictures = await asyncio.gather(uploaded(diorama, "teal"), uploaded(diorama, "orange"))
    ended = await diorama.ended((await diorama.post(image(image_asset_ids=pictures)))["id"])
    (spend,) = await diorama.spends(ended["id"])
    asset = (await diorama.http.get(ended["pictures"][0]["links"]["self"])).json()

    assert ended["status"] == "succeeded", ended["error"]
    assert spend.prompt == WORDS
    assert asset["prompt"]["name"] == "client"
    for asset_id in pictures:  # they are the client's, and stay
        assert (await diorama.http.get(f"/v1/assets/{asset_id}/content")).status_code == 200


@pytest.mark.parametrize("scale", [2, 4])
async def test_an_upload_is_upscaled_to_exactly_as_many_pixels(diorama: Diorama, scale: int) -> None:
    asset_id = await uploaded(diorama, "plum", width=150, height=90)
    body = {"kind": "enhance", "image_asset_id": asset_id, "scale": scale}
    ended = await diorama.ended((await diorama.post(body))["id"])

    assert ended["status"] == "succeeded", ended["error"]
    (picture,) = ended["pictures"]
    facts = inspect(await diorama.bytes_of(picture), max_bytes=60_000_000)
    assert (picture["step"], facts.width, facts.height) == ("enhanced", 150 * scale, 90 * scale)


async def test_a_picture_of_ours_can_be_enhanced_and_worked_from(diorama: Diorama) -> None:
    first = await diorama.ended((await diorama.post(image()))["id"])
    asset_id = first["pictures"][0]["asset_id"]

    bodies: list[Json] = [
        {"kind": "enhance", "image_asset_id": asset_id, "operation": "face_restore"},
        image(image_asset_ids=[asset_id]),
    ]
    ended = [await diorama.ended((await diorama.post(body))["id"]) for body in bodies]

    assert [one["status"] for one in ended] == ["succeeded", "succeeded"], [one["error"] for one in ended]


async def test_a_failed_enhancement_leaves_the_picture_that_it_started_from(diorama: Diorama) -> None:
    asset_id = await uploaded(diorama, "salmon")
    await diorama.fault("model_error", provider="replicate")
    body = {"kind": "enhance", "image_asset_id": asset_id, "provider": "replicate", "strategy": None}
    ended = await diorama.ended((await diorama.post(body))["id"])

    assert ended["status"] == "failed"
    assert (await diorama.http.get(f"/v1/assets/{asset_id}/content")).status_code == 200


async def test_a_worker_that_dies_in_the_middle_of_four_variants_buys_none_of_them_twice(diorama: Diorama) -> None:
    accepted = await diorama.post(image(LONG, count=4))

    async def submitted() -> int:
        return sum(spend.state is SpendState.submitted for spend in await diorama.spends(accepted["id"]))

    await diorama.until(submitted, lambda count: count == 4)
    await diorama.stack.kill("worker")
    await diorama.wind_sandbox()
    await diorama.stack.start_service("worker")
    ended = await diorama.ended(accepted["id"], within_s=150)

    assert ended["status"] == "succeeded", ended["error"]
    assert len(await diorama.charges(accepted["id"])) == 4
