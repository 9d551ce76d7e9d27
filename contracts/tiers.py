"""What tenants may do at once and in a day, by their tier; a tenant may have figures of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Tier(StrEnum):
    """What was agreed with a tenant."""

    free = "free"
    standard = "standard"
    premium = "premium"


class PolicyLevel(StrEnum):
    """How carefully prompts are looked at. Finished pictures are looked at alike for everybody, as the operator has set it.

    `strict` refuses what is doubtful, `usual` what is forbidden, `open` only what is refused to everybody (sexual/minors).
    """

    strict = "strict"
    usual = "usual"
    open = "open"


@dataclass(frozen=True, slots=True)
class Allowance:
    """`requests_per_minute` to the API over all keys, with bursts of as many; generations `in_flight`: accepted and not ended;
    generations `per_day`, by UTC. None: no limit. `weight`: the share of the work where tenants wait for each other.
    """

    requests_per_minute: int | None
    in_flight: int | None
    per_day: int | None
    weight: float


# Standard has no limits of its own: who runs Diorama for themselves should meet none that they did not set.
ALLOWANCES: Final[Mapping[Tier, Allowance]] = {
    Tier.free: Allowance(requests_per_minute=60, in_flight=10, per_day=200, weight=0.5),
    Tier.standard: Allowance(requests_per_minute=None, in_flight=None, per_day=None, weight=1.0),
    Tier.premium: Allowance(requests_per_minute=None, in_flight=None, per_day=None, weight=4.0),
}
