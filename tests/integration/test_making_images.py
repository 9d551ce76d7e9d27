"""`picture.make` for images and enhancements: words, pictures to work from, format, size and progress of the whole."""

import asyncio
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from temporalio.exceptions import ApplicationError

from contracts.pictures import AssetRef, PictureOrder
from contracts.statuses import AssetRole, Billed, Kind, SpendState, Step
from contracts.wishes import Adjustment
from db import assets, events, lives
from db.models import Asset, Generation
from providers.base import FinishedPicture
from providers.catalog import Catalog
from storage.base import object_key
from tests.integration.conftest import Tables
from tests.integration.test_ledger import a_generation, an_order
from tests.integration.test_making import Workshop, at_once

IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a lighthouse made of glass", "quality": "low"}


def answer(width: int, height: int, picture_format: str = "PNG") -> FinishedPicture:
    body = BytesIO()
    Image.new("RGB", (width, height), "teal").save(body, picture_format)
    return FinishedPicture(body=body.getvalue(), content_type=f"image/{picture_format.lower()}")


def able(capability: str) -> str:
    """A model of the catalog that can do it."""
    return next(
        entry.model
        for entry in Catalog.load().models
        if entry.provider == "replicate" and capability in entry.capabilities
    )


def order_of(generation: Generation, step: Step, capability: str, **more: Any) -> PictureOrder:
    order = an_order(generation)
    candidate = order.candidate.model_copy(update={"model": able(capability)})
    return order.model_copy(update={"step": step, "candidate": candidate} | more)


async def stored_picture(tables: Tables, shop: Workshop, width: int, height: int) -> AssetRef:
    body = answer(width, height).body
    owner = await a_generation(tables)
    row = Asset(
        tenant_id=tables.tenant_id,
        step=Step.input,
        role=AssetRole.input,
        key=object_key(tables.tenant_id, owner.id, "input", f"{width:064x}", "image/png"),
        content_type="image/png",
        size_bytes=len(body),
        sha256=f"{width:064x}",
        width=width,
        height=height,
    )
    async with tables.database.transaction() as session:
        await assets.announce(session, row)
    return assets.reference(row)


async def test_the_clients_words_are_bought_word_for_word(tables: Tables) -> None:
    shop = Workshop(tables, at_once(answer(64, 64)))
    generation = await a_generation(tables, kind=Kind.image, request=IMAGE)
    order = order_of(generation, Step.variant_1, "text_to_image")

    await shop.make(order)

    spend = await shop.spend(order)
    assert shop.provider.sent[0].prompt == "a lighthouse made of glass"
    assert (spend.prompt_name, spend.prompt_version) == ("client", "1")


@pytest.mark.parametrize(("wanted", "extension"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp")])
@pytest.mark.parametrize("delivered", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_is_kept_in_the_wanted_format_whatever_was_delivered(
    tables: Tables, wanted: str, extension: str, delivered: str
) -> None:
    shop = Workshop(tables, at_once(answer(64, 64, delivered)))
    request = IMAGE | {"traits": {"output_format": wanted}}
    generation = await a_generation(tables, kind=Kind.image, request=request)

    made = await shop.make(order_of(generation, Step.variant_1, "text_to_image"))

    assert made.asset.content_type == f"image/{wanted}"
    assert made.asset.key.endswith(f".{extension}")
    assert await shop.keys() == [made.asset.key]


async def test_an_image_of_a_wanted_size_has_exactly_these_pixels(tables: Tables) -> None:
    shop = Workshop(tables, at_once(answer(1024, 1024)))
    generation = await a_generation(tables, kind=Kind.image, request=IMAGE | {"size": "900x900"})

    made = await shop.make(order_of(generation, Step.variant_1, "text_to_image"))

    assert (made.asset.width, made.asset.height) == (900, 900)


async def test_an_edit_is_bought_with_all_its_pictures_in_order(tables: Tables) -> None:
    shop = Workshop(tables, at_once(answer(64, 64)))
    references = tuple([await stored_picture(tables, shop, width, 40) for width in (30, 20)])
    request = IMAGE | {"image_asset_ids": [str(one.asset_id) for one in references]}
    generation = await a_generation(tables, kind=Kind.image, request=request)

    await shop.make(order_of(generation, Step.variant_1, "image_to_image", references=references))

    (purchase,) = shop.provider.sent
    assert purchase.capability == "image_to_image"
    assert [one.size_bytes for one in purchase.references] == [one.size_bytes for one in references]


async def test_an_upscaled_picture_is_kept_as_it_came(tables: Tables) -> None:
    given = answer(60, 40)
    shop = Workshop(tables, at_once(given))
    source = await stored_picture(tables, shop, 30, 20)
    request = {"kind": "enhance", "image_asset_id": str(source.asset_id), "scale": 2}
    generation = await a_generation(tables, kind=Kind.enhance, request=request)

    made = await shop.make(order_of(generation, Step.enhanced, "upscale", reference=source))

    (purchase,) = shop.provider.sent
    assert (purchase.capability, purchase.traits.scale, purchase.prompt) == ("upscale", 2, "")
    assert (made.asset.width, made.asset.height, made.asset.size_bytes) == (60, 40, len(given.body))


async def test_an_upscaled_picture_of_another_size_is_paid_and_not_kept(tables: Tables) -> None:
    shop = Workshop(tables, at_once(answer(30, 20)))
    source = await stored_picture(tables, shop, 30, 20)
    request = {"kind": "enhance", "image_asset_id": str(source.asset_id), "scale": 4}
    generation = await a_generation(tables, kind=Kind.enhance, request=request)
    order = order_of(generation, Step.enhanced, "upscale", reference=source)
    with pytest.raises(ApplicationError) as caught:
        await shop.make(order)

    spend = await shop.spend(order)
    assert (caught.value.type, caught.value.non_retryable) == ("output_wrong_size", True)
    assert (spend.state, spend.billed) == (SpendState.settled, Billed.yes)
    assert spend.error_facts is not None
    assert spend.error_facts["wanted"] == "120x80"
    assert await shop.keys() == []


async def test_a_restored_face_may_come_in_any_size(tables: Tables) -> None:
    shop = Workshop(tables, at_once(answer(77, 55)))
    source = await stored_picture(tables, shop, 30, 20)
    request = {"kind": "enhance", "image_asset_id": str(source.asset_id), "operation": "face_restore"}
    generation = await a_generation(tables, kind=Kind.enhance, request=request)

    made = await shop.make(order_of(generation, Step.enhanced, "face_restore", reference=source))

    assert (made.asset.width, made.asset.height) == (77, 55)


async def test_pictures_side_by_side_count_each_other(tables: Tables) -> None:
    shop = Workshop(tables, at_once(*(answer(64, 64 + number) for number in range(4))))
    generation = await a_generation(tables, kind=Kind.image, request=IMAGE | {"count": 4})
    async with tables.database.transaction() as session:
        await lives.open_(session, generation)
    steps = [Step.variant(number) for number in range(1, 5)]
    orders = [order_of(generation, step, "text_to_image", parts=4, beside=True) for step in steps]

    await shop.make(orders[0])
    async with tables.database.transaction() as session:
        quarter = (await lives.read(session, generation.id)).progress
    await asyncio.gather(*(shop.make(order) for order in orders[1:]))

    async with tables.database.transaction() as session:
        assert (quarter, (await lives.read(session, generation.id)).progress) == (0.25, 1.0)


async def test_what_a_fallback_could_not_do_is_told_with_the_picture(tables: Tables) -> None:
    shop = Workshop(tables, at_once(answer(64, 64)))
    generation = await a_generation(tables, kind=Kind.image, request=IMAGE | {"traits": {"seed": 7}})
    order = order_of(generation, Step.variant_1, "text_to_image")
    told = Adjustment(parameter="seed", wanted="7", why="It does not know it.")
    candidate = order.candidate.model_copy(update={"adjustments": (told,), "max_usd": Decimal("0.05")})

    made = await shop.make(order.model_copy(update={"candidate": candidate}))

    async with tables.database.transaction() as session:
        stored = [event for event in await events.after(session, generation.id, 0) if event.type == "picture.stored"]
    assert made.adjustments == (told,)
    assert stored[0].data["adjustments"] == [told.model_dump(mode="json")]
