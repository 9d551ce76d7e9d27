"""Models as clients see them: every row of the catalog, whatever its price rule."""

from decimal import Decimal

import pytest

from api.estimates import Lanes, estimate
from api.model_answers import ModelAnswer, ModelState
from api.model_prices import PriceAnswer
from api.standing_answers import HealthAnswer, LimitAnswer, QueueAnswer
from contracts.standing import Standing
from db.columns import now
from db.live_purchases import LivePurchases, Queues
from providers.catalog import Catalog
from providers.model_entry import ModelEntry

CATALOG = Catalog.load()


def answer(entry: ModelEntry) -> ModelAnswer:
    """The model as it is when nothing is known of it."""
    standing = Standing(provider=entry.provider, model=entry.model)
    lanes = Lanes(standing, standing, 60, None, 0, 0, 0)
    state = ModelState(
        configured=True,
        retired=False,
        closed_because=None,
        health=HealthAnswer.of(standing),
        queue=QueueAnswer.of(LivePurchases()),
        limit=LimitAnswer(creates_per_minute=None, set_by_operator=False),
        estimate=estimate(lanes, moment=now(), closed_because=None),
    )
    return ModelAnswer.of(entry, CATALOG.provider(entry.provider), state)


@pytest.mark.parametrize("entry", CATALOG.models, ids=lambda entry: f"{entry.provider}-{entry.model}")
def test_every_model_of_the_catalog_is_shown_with_its_prices(entry: ModelEntry) -> None:
    shown = answer(entry)

    assert (shown.provider, shown.model, shown.capabilities) == (entry.provider, entry.model, entry.capabilities)
    assert shown.prices or shown.per_megapixel_usd is not None
    assert all(Decimal(0) <= one.usd <= one.max_usd for one in shown.prices)
    assert shown.sizes or shown.any_size or shown.sized_by_input
    assert ModelAnswer.model_validate_json(shown.model_dump_json()) == shown


@pytest.mark.parametrize("entry", [entry for entry in CATALOG.models if entry.prices], ids=lambda entry: entry.title)
def test_a_price_table_is_shown_whole(entry: ModelEntry) -> None:
    rows = [(one.quality, one.size, one.usd) for one in PriceAnswer.all_of(entry)]

    assert rows == [(quality, size, usd) for quality, row in entry.prices.items() for size, usd in row.items()]


def test_the_queue_of_a_provider_is_that_of_all_its_models() -> None:
    queues = Queues({("a", "x"): LivePurchases(1, 2), ("a", "y"): LivePurchases(10, 20), ("b", "x"): LivePurchases(5)})

    assert queues.of_provider("a") == LivePurchases(11, 22)
    assert queues.of_provider("c") == queues.of_model("a", "z") == LivePurchases()
