"""What a request was quoted is kept, whatever happens to it: failures, other providers, further purchases, cancellations.

With DIORAMA_QUOTE_ROUNDS=20 it is a run of 320; without it, of 64.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.acceptance.client import Diorama, Json, answered, chain, only_avatar

ROUNDS, AT_ONCE = int(os.environ.get("DIORAMA_QUOTE_ROUNDS", "4")), 12


def image(marker: str = "", **options: object) -> Json:
    return {"kind": "image", "prompt": f"a lighthouse made of glass, at dusk{marker}", **options}


def once(fault: str) -> str:
    """Words that make the sandbox misbehave the first time that it reads them."""
    return f" {uuid4()} [[sandbox fault={fault} times=1]]"


@dataclass(frozen=True)
class Story:
    """A request; `canceled_at`: its client gives it up while that picture is made; `dear`: its bill is above the provider's own prices."""

    name: str
    body: Callable[[], Json]
    canceled_at: str | None = None
    dear: bool = False


STORIES = (
    Story("one picture", only_avatar),
    Story("a chain", chain),
    Story("a chain at another provider", lambda: chain(provider="openai")),
    Story("several pictures", lambda: image(count=3)),
    Story("a good one", lambda: image(quality="high")),
    Story("the cheapest", lambda: image(strategy="cheapest")),
    Story("for half as much", lambda: only_avatar(max_cost_usd="0.05")),
    Story("made by another one", lambda: only_avatar(once("model_error"))),
    Story("bought again", lambda: chain(scene=once("interrupted"))),
    Story("its answer is lost", lambda: only_avatar(once("lost_response"))),
    Story("paid and broken", lambda: only_avatar(" [[sandbox fault=corrupt_image]]")),
    Story("refused", lambda: only_avatar(" [[sandbox fault=output_policy]]")),
    Story("half of it is refused", lambda: chain(scene=" [[sandbox fault=output_policy]]")),
    Story(
        "billed above the price",
        lambda: only_avatar(" [[sandbox fault=dear factor=100]]", provider="openai"),
        dear=True,
    ),
    Story("given up", lambda: only_avatar(" [[sandbox fault=stuck]]"), canceled_at="avatar"),
    Story("half of it is given up", lambda: chain(scene=" [[sandbox fault=stuck]]"), canceled_at="scene"),
)


@dataclass(frozen=True)
class Kept:
    """What a generation was quoted, and what it cost (USD). `bill_usd`: what was charged, where that is above all prices."""

    name: str
    status: str
    quote: Json
    cost_usd: Decimal
    bill_usd: Decimal | None = None

    @property
    def is_kept(self) -> bool:
        """A picture that is there costs at least the least; what did not succeed may have cost nothing.

        A bill above all prices is the one thing that may pass a quote: it counts as it is.
        """
        if self.bill_usd is not None:
            same = abs(self.cost_usd - self.bill_usd) <= Decimal("0.000001")  # they round each in their way
            return same and self.cost_usd > Decimal(self.quote["max_usd"])
        least = Decimal(self.quote["min_usd"]) if self.status == "succeeded" else Decimal(0)
        return least <= self.cost_usd <= Decimal(self.quote["max_usd"])

    @property
    def is_off_by(self) -> Decimal:
        """How far the cost is from what was expected, as a share of that."""
        expected = Decimal(self.quote["expected_usd"])
        return abs(self.cost_usd - expected) / expected


async def quoted(diorama: Diorama, body: Json) -> Json:
    answer = await answered(lambda: diorama.http.post("/v1/quotes", json=body))
    assert answer.status_code == 201, answer.text
    quote: Json = answer.json()
    return quote


async def told(diorama: Diorama, story: Story, room: asyncio.Semaphore) -> Kept:
    async with room:
        return await _told(diorama, story)


async def _told(diorama: Diorama, story: Story) -> Kept:
    body = story.body()
    quote = await quoted(diorama, body)
    accepted = await diorama.post(body | {"quote_id": quote["id"]})
    if story.canceled_at is not None:
        await diorama.bought(accepted["id"], story.canceled_at)
        await diorama.cancel(accepted["id"])
    ended = await diorama.ended(accepted["id"], within_s=200)
    bill_usd = await billed(diorama, accepted["id"]) if story.dear else None
    return Kept(story.name, ended["status"], quote, Decimal(ended["cost_usd"]), bill_usd)


async def billed(diorama: Diorama, generation_id: str) -> Decimal:
    """What the providers charge for it, to a millionth."""
    charges = await diorama.charges(generation_id)
    return sum((Decimal(f"{row['amount_usd']:.6f}") for row in charges if row["billed"]), Decimal(0))


@pytest.mark.timeout(100 * ROUNDS)
async def test_every_generation_costs_what_it_was_quoted(diorama: Diorama) -> None:
    room = asyncio.Semaphore(AT_ONCE)
    kept = await asyncio.gather(*(told(diorama, story, room) for story in STORIES * ROUNDS))

    assert [one for one in kept if not one.is_kept] == []
    ends = Counter(one.status for one in kept)
    assert ends.keys() == {"succeeded", "failed", "canceled"}, [(one.name, one.status) for one in kept]
    usual = [one for one in kept if one.status == "succeeded" and one.bill_usd is None]
    assert median(one.is_off_by for one in usual) <= Decimal("0.10")
    assert await left_held(diorama) == 0


async def left_held(diorama: Diorama) -> Decimal:
    query = text("select coalesce(sum(hold_usd), 0) from generation where id = any (:ids)")
    async with diorama.database.transaction() as session:
        row = await (await session.connection()).execute(query, {"ids": diorama.started})
        return Decimal(row.scalar_one())
