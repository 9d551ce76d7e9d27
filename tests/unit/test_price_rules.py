"""The four ways in which a picture is priced."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from providers.price_rules import PriceRules

TABLE = {"medium": {"1024x1024": Decimal("0.04"), "1920x1088": Decimal("0.06")}}
SECONDS = {"per_second_usd": Decimal("0.001"), "typical_gpu_s": 10, "max_gpu_s": 30}


@pytest.mark.parametrize(
    ("rule", "expected", "most"),
    [
        ({"flat_usd": Decimal("0.003")}, "0.003", "0.003"),
        ({"per_megapixel_usd": Decimal("0.025")}, "0.0262144", "0.0262144"),
        (SECONDS, "0.010", "0.030"),
        ({**SECONDS, "max_over_price": 2, "prompt_max_usd": 1}, "0.010", "1.060"),
        ({"prices": TABLE, "max_over_price": Decimal("1.5")}, "0.04", "0.06"),
    ],
)
def test_a_picture_is_priced_by_the_one_rule_of_its_row(rule: dict[str, Any], expected: str, most: str) -> None:
    rules = PriceRules.model_validate(rule)
    price = rules.picture_usd("medium", (1024, 1024))

    assert price == Decimal(expected)
    assert rules.most_usd(price) == Decimal(most)


def test_a_size_that_is_not_in_the_table_costs_as_much_as_the_dearest_in_it() -> None:
    assert PriceRules.model_validate({"prices": TABLE}).picture_usd("medium", (1536, 1024)) == Decimal("0.06")


def test_a_size_beyond_the_table_costs_more_in_proportion() -> None:
    rules = PriceRules.model_validate({"prices": TABLE})

    assert rules.picture_usd("medium", (3840, 2176)) == Decimal("0.24")


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"flat_usd": 1, "prices": TABLE},
        {"flat_usd": 1, "per_megapixel_usd": 1},
        {"flat_usd": 1, "max_gpu_s": 1},
        {"per_second_usd": 1},
        {**SECONDS, "max_gpu_s": 5},
    ],
)
def test_a_row_without_exactly_one_whole_rule_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PriceRules.model_validate(rule)


def test_without_levels_every_quality_can_be_bought_and_costs_the_same() -> None:
    rules = PriceRules.model_validate({"flat_usd": Decimal("0.003")})

    assert rules.qualities == ("low", "medium", "high")
    assert not rules.has_quality_levels
    assert {rules.picture_usd(quality, None) for quality in rules.qualities} == {Decimal("0.003")}
