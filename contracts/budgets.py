"""Budgets: who may spend how much in which time."""

from enum import StrEnum
from typing import Final


class BudgetOf(StrEnum):
    """Whose money a budget counts: of one key, of a tenant with all of its keys, at one provider, or all of it."""

    key = "key"
    tenant = "tenant"
    provider = "provider"
    system = "system"


class Period(StrEnum):
    """A calendar day or month by UTC. Money counts where its request was accepted, also when it is spent later."""

    day = "day"
    month = "month"


# The shares of a budget (percent) that are told of, each once in a period.
ALERTS_AT: Final = (50, 80, 100)
