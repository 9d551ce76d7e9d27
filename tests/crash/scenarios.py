"""The scenarios of the load: what is asked for, how the client behaves, and how it may end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.crash.asked import Asked
from tests.crash.customer import Customer
from tests.crash.delivery_plants import breaking_off_a_delivery, losing_a_delivery
from tests.crash.managing import (
    asking_with_a_quote,
    comparing_a_bill,
    managing_a_key,
    managing_a_tenant,
    watching_a_budget,
)
from tests.crash.plants import (
    buying_beside_the_ledger,
    buying_late,
    forgotten_by_the_engine,
    forgotten_by_the_provider,
    leaving_an_object,
    leaving_an_old_notice,
    losing_the_start,
)
from tests.crash.purchases import is_submitted
from tests.crash.requests import Request, avatar, chain, fault, in_openais_form, lasting, scene_from, variants
from tests.crash.telling import (
    bringing_a_key,
    closing_an_endpoint,
    exporting_the_log,
    having_it_reviewed,
    having_it_told_again,
    managing_an_endpoint,
    switching_a_lane,
)
from tests.integration.api.running_api import png

Manner = Callable[[Customer, Request, str], Awaitable[None]]

ENDS_WELL: Final = frozenset({"succeeded"})
FAILS: Final = frozenset({"failed"})
MAY_BE_CANCELED: Final = frozenset({"succeeded", "canceled"})
# Dear enough to wait for people when nobody knows whether it was bought, see lab.REVIEW_ABOVE_USD.
DEAR: Final = "high"


@dataclass(frozen=True, slots=True)
class Scenario:
    """`weight`: how often it is drawn; `ends`: the statuses in which it may end while the providers are there.

    `parks`: it may also wait for people, because a purchase of it may have been made and nobody can be asked.
    """

    name: str
    weight: int
    request: Request
    manner: Manner
    ends: frozenset[str] = ENDS_WELL
    parks: bool = False


async def plainly(customer: Customer, request: Request, name: str) -> None:
    """Ask and wait."""
    asked = customer.intend(request(name))
    await customer.ask(asked)
    await customer.watch(asked)


async def with_an_upload(customer: Customer, request: Request, name: str) -> None:
    """Upload a picture, and ask for others that are made from it."""
    asset_id = await customer.upload(png(64 + customer.luck.randrange(64), 64))
    if asset_id is None:
        return
    asked = customer.intend(request(name) | {"image_asset_ids": [asset_id]})
    await customer.ask(asked)
    await customer.watch(asked)


async def as_at_openai(customer: Customer, request: Request, name: str) -> None:
    """Ask as OpenAI is asked: the answer comes with the pictures."""
    asked = customer.intend(request(name), "/v1/images/generations")
    await customer.ask(asked)
    await customer.watch(asked)


async def changing_mind(customer: Customer, request: Request, name: str) -> None:
    """Ask, and cancel at any moment of its life."""
    asked = customer.intend(request(name))
    await customer.ask(asked)
    await asyncio.sleep(customer.luck.choice([0, 0.2, 1, 2, 4]) * customer.luck.random())
    if asked.answer is not None:
        await customer.cancel(asked)
    await customer.watch(asked)


async def stopping_in_the_middle(customer: Customer, request: Request, name: str) -> None:
    """Ask, and cancel when the provider is at work."""
    asked = customer.intend(request(name))
    await customer.ask(asked)
    if await is_submitted(customer, asked):
        await customer.cancel(asked)
    await customer.watch(asked)


async def hanging_up(customer: Customer, request: Request, name: str) -> None:
    """Go away in the middle of the request, then come back."""
    asked = customer.intend(request(name))
    for _ in range(2):
        await customer.hang_up(asked, after_s=customer.luck.choice([0.005, 0.02, 0.05, 0.2]))
    await customer.ask(asked)
    await customer.watch(asked)


async def as_twins(customer: Customer, request: Request, name: str) -> None:
    """Send the same request twice at once."""
    asked = customer.intend(request(name))
    await asyncio.gather(customer.ask(asked), customer.ask(asked))
    await customer.watch(asked)


async def deleting_the_session(customer: Customer, request: Request, name: str) -> None:
    """Ask for two in a session, and delete it while they are made or after."""
    session_id = f"session-{name}"
    asked = [customer.intend(request(f"{name}-{one}") | {"session_id": session_id}) for one in range(2)]
    for one in asked:
        await customer.ask(one)
    await asyncio.sleep(customer.luck.choice([0, 1, 4]) * customer.luck.random())
    if customer.luck.random() < 0.5:
        await _watch_all(customer, asked)
    await customer.delete_session(session_id, *asked)
    await _watch_all(customer, asked)


async def erasing_the_user(customer: Customer, request: Request, name: str) -> None:
    """Ask for somebody, start from an upload, and have both forgotten while they are made or after."""
    # Of its own: the same bytes are the same upload, which another play has forgotten, or is about to name.
    asset_id = await customer.upload(png(64, 96) + name.encode())
    user_id = f"user-{name}"
    asked = customer.intend(request(name) | {"user_id": user_id, "image_asset_ids": [asset_id] if asset_id else []})
    await customer.ask(asked)
    if customer.luck.random() < 0.5:
        await customer.watch(asked)
    await customer.erase_user(user_id, asked)


async def _watch_all(customer: Customer, asked: list[Asked]) -> None:
    for one in asked:
        await customer.watch(one)


def all_scenarios(image_url: str) -> dict[str, Scenario]:
    """By name; `image_url` leads to a picture that may be fetched."""
    found = [
        *_with_plants(),
        *_that_are_told(),
        *_that_manage(),
        *_that_go_well(image_url),
        *_with_trouble_at_the_provider(),
        *_with_trouble_on_the_way(),
        *_that_are_stopped(image_url),
    ]
    return {scenario.name: scenario for scenario in found}


# What comes of them takes the reconciler's grace, or a provider's denial that lasts: half a minute without a kill.
NEEDS_PEACE: Final = frozenset(
    {
        "object_left",
        "old_notice",
        "late_purchase",
        "job_beside_the_ledger",
        "start_lost",
        "forgotten_by_the_engine",
        "forgotten_by_the_provider",
        "delivery_lost",
        "delivery_broken_off",
        "nothing_came",
    }
)


def _with_plants() -> list[Scenario]:
    return [
        Scenario("object_left", 0, avatar(), leaving_an_object),
        Scenario("old_notice", 0, avatar(), leaving_an_old_notice),
        Scenario("late_purchase", 0, avatar(), buying_late),
        Scenario("job_beside_the_ledger", 0, avatar(provider="replicate"), buying_beside_the_ledger),
        Scenario("start_lost", 0, avatar(), losing_the_start),
        Scenario("forgotten_by_the_engine", 0, avatar(lasting(5)), forgotten_by_the_engine),
        Scenario(
            "forgotten_by_the_provider",
            0,
            avatar(lasting(8), provider="replicate", quality=DEAR),
            forgotten_by_the_provider,
        ),
        Scenario("delivery_lost", 0, avatar(), losing_a_delivery),
        Scenario("delivery_broken_off", 0, avatar(), breaking_off_a_delivery),
        Scenario("nothing_came", 1, avatar(fault("empty_output")), plainly, FAILS),
    ]


def _that_are_told() -> list[Scenario]:
    return [
        Scenario("endpoint_managed", 1, avatar(), managing_an_endpoint),
        Scenario("lane_switched", 1, avatar(), switching_a_lane),
        Scenario("log_exported", 1, avatar(), exporting_the_log),
        Scenario("key_brought", 1, avatar(), bringing_a_key),
        Scenario("endpoint_closed", 1, avatar(), closing_an_endpoint),
        Scenario("told_again", 1, avatar(), having_it_told_again),
        *(
            Scenario(name, weight, _lost_and_dear(slow), having_it_reviewed, parks=True)
            for name, weight, slow in (
                ("reviewed", 2, ""),
                ("reviewed_and_slow", 1, lasting(15)),
                ("reviewed_and_soon_over", 0, lasting(6)),  # long enough where waits are short: see haste.py
            )
        ),
    ]


def _lost_and_dear(direction: str) -> Request:
    return avatar(f"{fault('lost_response times=1')} {direction}", provider="openai", quality=DEAR)


def _that_manage() -> list[Scenario]:
    return [
        Scenario("key_managed", 1, avatar(), managing_a_key),
        Scenario("tenant_managed", 1, avatar(), managing_a_tenant),
        Scenario("bill_compared", 1, avatar(), comparing_a_bill),
        Scenario("budget_watched", 1, variants(2), watching_a_budget),
        Scenario("quoted", 2, avatar(provider="replicate"), asking_with_a_quote),
    ]


def _that_go_well(image_url: str) -> list[Scenario]:
    return [
        Scenario("chain", 8, chain(), plainly),
        Scenario("avatar", 3, avatar(), plainly),
        Scenario("slow", 2, avatar(lasting(4)), plainly),
        Scenario("synchronous", 3, chain(provider="openai"), plainly, parks=True),
        Scenario("variants", 2, variants(3), plainly),
        Scenario("watched", 2, variants(1, lasting(2), provider="openai", traits={"partials": 2}), plainly, parks=True),
        Scenario("compatible", 2, in_openais_form(), as_at_openai),
        Scenario("uploaded", 2, variants(2), with_an_upload),
        Scenario("own_picture", 2, scene_from(image_url), plainly),
        Scenario("hung_up", 2, scene_from(image_url), hanging_up),
        Scenario("twins", 2, scene_from(image_url), as_twins),
    ]


def _with_trouble_at_the_provider() -> list[Scenario]:
    return [
        Scenario("refused_at_first_sight", 2, chain(scene=fault("input_policy")), plainly, FAILS),
        Scenario("refused_when_seen", 2, chain(scene=fault("output_policy")), plainly, FAILS),
        # Where the answer that refuses is lost, the purchase that takes its place is not refused.
        Scenario("one_variant_refused", 2, variants(3, fault("output_policy times=1")), plainly, FAILS | ENDS_WELL),
        Scenario("interrupted", 2, chain(scene=fault("interrupted times=1")), plainly),
        Scenario("answer_lost", 3, chain(avatar=fault("lost_response times=1")), plainly),
        Scenario("failed_after_accepting", 1, avatar(fault("server_error after=accept times=1")), plainly),
        Scenario("never_arrived", 2, avatar(fault("reset_before_accept times=1")), plainly),
        Scenario("busy", 2, avatar(fault("rate_limited retry_after=1 times=1")), plainly),
        Scenario("out_of_credit", 2, chain(scene=fault("insufficient_credit times=1")), plainly, parks=True),
        Scenario("too_late", 2, chain(scene=fault("stuck"), deadline_s=6), plainly, FAILS),
        Scenario(
            "cheap_and_unknown", 2, avatar(fault("lost_response times=1"), provider="openai"), plainly, parks=True
        ),
        Scenario(
            "dear_and_unknown",
            1,
            avatar(fault("lost_response times=1"), provider="openai", quality=DEAR),
            plainly,
            parks=True,
        ),
    ]


def _with_trouble_on_the_way() -> list[Scenario]:
    return [
        Scenario("cut_download", 1, avatar(fault("cut_download after_bytes=200 times=1")), plainly),
        # At Replicate only: there a second download is whole, where OpenAI's stand-in damages each answer for itself.
        Scenario("damaged_download", 1, avatar(fault("corrupt_image times=1"), provider="replicate"), plainly),
        Scenario("not_there_yet", 1, avatar(fault("delivery_404 times=2")), plainly),
        Scenario("webhook_dropped", 1, avatar(fault("webhook_drop")), plainly),
        Scenario("webhook_repeated", 2, chain(scene=fault("webhook_duplicate")), plainly),
        Scenario("webhook_late", 1, avatar(fault("webhook_late seconds=4")), plainly),
    ]


def _that_are_stopped(image_url: str) -> list[Scenario]:
    return [
        Scenario("canceled", 4, chain(scene=lasting(2)), changing_mind, MAY_BE_CANCELED),
        Scenario("canceled_in_the_middle", 2, chain(avatar=lasting(8)), stopping_in_the_middle, MAY_BE_CANCELED),
        Scenario("canceled_variants", 2, variants(3, lasting(4)), stopping_in_the_middle, MAY_BE_CANCELED),
        Scenario("canceled_synchronous", 1, chain(provider="openai"), changing_mind, MAY_BE_CANCELED, parks=True),
        Scenario("canceled_own_picture", 1, scene_from(image_url, lasting(2)), changing_mind, MAY_BE_CANCELED),
        Scenario("session_deleted", 2, avatar(), deleting_the_session, MAY_BE_CANCELED),
        Scenario("user_erased", 1, variants(1), erasing_the_user, MAY_BE_CANCELED),
    ]
