"""What requests are quoted, from the catalog alone."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from api.quotes import Quoter
from contracts.requests import AnyRequest, GenerationRequest
from providers.catalog import Catalog

REQUESTS: TypeAdapter[AnyRequest] = TypeAdapter(GenerationRequest)
EVERYBODY = frozenset({"replicate", "openai", "getimg", "wavespeed"})
CATALOG = Catalog.load()
QUOTER = Quoter(CATALOG, configured=EVERYBODY, review_above_usd=Decimal("0.50"))


def image(**options: Any) -> AnyRequest:
    return REQUESTS.validate_python({"kind": "image", "prompt": "a fox", **options})


@given(
    strategy=st.sampled_from([None, "cheapest", "fastest", "best", "balanced"]),
    quality=st.sampled_from(["low", "medium", "high"]),
    count=st.integers(1, 10),
    prompt=st.text("abcé語", min_size=1, max_size=32_000),
)
def test_the_least_is_never_above_what_is_expected_and_that_never_above_the_most(**options: Any) -> None:
    quote = QUOTER.quote(image(**options))

    assert Decimal(0) <= quote.min_usd <= quote.expected_usd <= quote.max_usd


@given(prompt=st.text("aé語", min_size=1, max_size=32_000))
def test_however_long_the_words_are_the_most_has_room_for_two_purchases_of_them(prompt: str) -> None:
    request = image(prompt=prompt, provider="openai", model="gpt-image-2.5-flare", strategy="pinned")
    entry = CATALOG.entry("openai", "gpt-image-2.5-flare")
    assert entry.token_rates is not None

    quote = QUOTER.quote(request)

    words_usd = entry.token_rates.text_in * len(prompt.encode()) / 1_000_000
    picture_usd = entry.price(quality="medium", shape="square", size=None, references=0) * entry.max_over_price
    assert quote.max_usd >= 2 * (words_usd + picture_usd)


def test_pictures_that_are_alike_cost_alike() -> None:
    one, four = QUOTER.quote(image()), QUOTER.quote(image(count=4))

    assert (four.min_usd, four.expected_usd, four.max_usd) == pytest.approx(
        (4 * one.min_usd, 4 * one.expected_usd, 4 * one.max_usd), abs=Decimal("0.00001")
    )


def test_the_cheapest_strategy_expects_the_cheapest_price() -> None:
    (cheap,) = QUOTER.pictures(image(strategy="cheapest"))
    prices = [
        one.likely_usd or one.max_usd for one in QUOTER.plans(image(strategy="cheapest"))[0] if not one.adjustments
    ]

    entry = CATALOG.entry(cheap.provider, cheap.model)
    assert entry.price(quality="medium", shape="square", size=None, references=0) <= min(prices) * Decimal("1.06")


def test_the_most_is_what_the_request_allows_where_that_is_less() -> None:
    usual = QUOTER.quote(image()).max_usd

    assert QUOTER.quote(image(max_cost_usd=str(usual / 2))).max_usd == usual / 2
    assert QUOTER.quote(image(max_cost_usd=str(usual * 2))).max_usd == usual


@pytest.mark.parametrize("entry", CATALOG.models, ids=lambda entry: f"{entry.provider} {entry.model}")
def test_no_model_has_a_least_price_above_its_price(entry: Any) -> None:
    shapes = {recipe.shape for recipe in entry.recipes} or {"square"}
    for shape in shapes:
        for quality in entry.qualities:
            asked = {"quality": quality, "shape": shape, "size": None, "references": min(1, entry.max_references)}
            assert Decimal(0) <= entry.least_price(**asked) <= entry.price(**asked) <= entry.max_price(**asked)
