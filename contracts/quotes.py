"""What a request will cost, told before it runs."""

from decimal import Decimal

from pydantic import Field

from contracts.frozen import Frozen
from contracts.statuses import Step

Usd = Decimal


class Quote(Frozen):
    """USD. A generation that succeeds costs between `min_usd` and `max_usd`; one that does not, up to `max_usd`, or nothing.

    `min_usd`: the cheapest models make all pictures at the first try, for as little as they ever take; `expected_usd`: the
    preferred ones do, at their usual price; `max_usd`: each picture is bought twice from the dearest one, as there is room for
    one failed purchase each, or the request's own `max_cost_usd`.
    """

    min_usd: Usd = Field(examples=["0.0133"])
    expected_usd: Usd = Field(examples=["0.036"])
    max_usd: Usd = Field(examples=["0.26"])


class QuotedPicture(Frozen):
    """One picture of a request, as its preferred model would make it (USD)."""

    step: Step
    provider: str = Field(examples=["openai"])
    model: str = Field(examples=["gpt-image-2.5-flare"])
    expected_usd: Usd
    max_usd: Usd = Field(
        description="What it may cost at most, whichever model makes it, one failed purchase included."
    )
