"""Usage: what was asked for, bought and spent, told by groups."""

from decimal import Decimal
from enum import StrEnum
from typing import Final

from pydantic import Field

from contracts.frozen import Frozen

# How many things a usage can be told by at once; more would be nearly a list of the generations themselves.
MOST_GROUPS: Final = 3


class UsageGroup(StrEnum):
    """What usage is told by. `day`: by UTC, of the acceptance. `tenant` is for operators, and then tells of all tenants."""

    day = "day"
    key = "key"
    user = "user"
    session = "session"
    tag = "tag"
    kind = "kind"
    provider = "provider"
    model = "model"
    tenant = "tenant"


class UsageFigures(Frozen):
    """What falls into a group. Money in USD, exact to a millionth; it counts where the generation was accepted."""

    generations: int = Field(description="Accepted requests; by provider or model, those that bought there.")
    pictures: int = Field(description="Of generations that succeeded.")
    purchases: int = Field(description="Pictures that a provider was asked for.")
    failed_purchases: int = Field(description="Those that gave no picture, whether they were charged or not.")
    cost_usd: Decimal = Field(description="Spent, failed purchases included.", examples=["0.040000"])
    own_keys_usd: Decimal = Field(
        description="What of that was bought with provider keys of the tenant's own: the provider bills it to the tenant.",
        examples=["0.000000"],
    )
    held_usd: Decimal = Field(
        description="Promised for generations that have not ended, and not yet spent.", examples=["0.000000"]
    )


FIGURES: Final = tuple(UsageFigures.model_fields)
