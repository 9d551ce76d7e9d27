"""Keeping what a request may cost: models that are too dear are left out until the rest cannot cost more."""

from collections.abc import Sequence
from decimal import Decimal

from contracts.pictures import Candidate
from errors import TooExpensive

# For each picture its models in order, each with whether it misses nothing of what was wished for.
Offers = Sequence[tuple[Candidate, bool]]


def affordable(pictures: Sequence[Offers], most_usd: Decimal) -> list[Offers]:
    """The models of each picture that are left when all together may cost `most_usd` (USD), whichever of them make it.

    What each purchase may cost at most counts, not what it likely costs. The cheapest model of each picture that misses
    nothing stays. Raises TooExpensive with `least_usd`, what all of these may cost.
    """
    least = sum((_cheapest(offers)[0].max_usd for offers in pictures), Decimal(0))
    if least > most_usd:
        raise TooExpensive(
            f"The request may cost {least:f} USD at least, and at most {most_usd:f} USD are allowed.",
            least_usd=f"{least:f}",
            max_cost_usd=f"{most_usd:f}",
        )
    for limit in sorted({offer.max_usd for offers in pictures for offer, _ in offers}, reverse=True):
        left = [_up_to(offers, limit) for offers in pictures]
        if sum((max(offer.max_usd for offer, _ in offers) for offers in left), Decimal(0)) <= most_usd:
            return left
    return [[_cheapest(offers)] for offers in pictures]


def _up_to(offers: Offers, limit_usd: Decimal) -> Offers:
    cheapest = _cheapest(offers)
    return [pair for pair in offers if pair is cheapest or pair[0].max_usd <= limit_usd]


def _cheapest(offers: Offers) -> tuple[Candidate, bool]:
    return min((pair for pair in offers if pair[1]), key=lambda pair: pair[0].max_usd)
