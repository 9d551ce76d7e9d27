"""What a request will cost, told before it runs, and kept."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx

from contracts.quotes import Quote
from tests.integration.api.picture_host import PictureHost
from tests.integration.api.running_api import AVATAR, CHAIN, Tenant, png

ZERO = Decimal(0)


async def quoted(tenant: Tenant, body: dict[str, Any] = CHAIN) -> dict[str, Any]:
    answer = await tenant.client.post("/v1/quotes", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ask(tenant: Tenant, body: dict[str, Any], **headers: str) -> httpx.Response:
    return await tenant.client.post("/v1/generations", json=body, headers=headers)


async def change(tenant: Tenant, quote: dict[str, Any], **columns: str) -> None:
    """Change a quote behind everybody's back; values are SQL expressions."""
    changes = ", ".join(f"{name} = {value}" for name, value in columns.items())
    await tenant.api.ask(f"update quote set {changes} where id = :id", id=quote["id"])  # noqa: S608 of our own


async def test_a_quote_tells_what_each_picture_and_all_of_them_cost_and_holds_nothing(tenant: Tenant) -> None:
    quote = await quoted(tenant)

    money = {name: Decimal(quote[name]) for name in Quote.model_fields}
    assert ZERO < money["min_usd"] <= money["expected_usd"] < money["max_usd"]
    assert [picture["step"] for picture in quote["pictures"]] == ["avatar", "scene"]
    assert sum(Decimal(picture["expected_usd"]) for picture in quote["pictures"]) == money["expected_usd"]
    assert sum(Decimal(picture["max_usd"]) for picture in quote["pictures"]) == money["max_usd"]
    assert (quote["kind"], quote["budgets"], quote["warnings"]) == ("avatar_scene", [], [])
    assert await tenant.counts() == {"generation": 0, "asset": 0, "spend": 0}


async def test_an_accepted_request_costs_what_it_was_quoted(tenant: Tenant) -> None:
    quote = await quoted(tenant)

    accepted = await tenant.accept(CHAIN)

    assert accepted["quote"] == {name: quote[name] for name in Quote.model_fields}
    (row,) = await tenant.api.ask(
        "select hold_usd, quote_max_usd, key_id from generation where id = :id", id=accepted["id"]
    )
    assert (row.hold_usd, row.quote_max_usd) == (Decimal(quote["max_usd"]),) * 2
    assert row.key_id == tenant.key.split("_")[1]


async def test_what_is_asked_for_with_a_quote_costs_no_more_than_it_says_whatever_prices_changed(
    tenant: Tenant,
) -> None:
    quote = await quoted(tenant)
    cheaper = Decimal(quote["max_usd"]) - Decimal("0.01")
    await change(tenant, quote, max_usd=str(cheaper))

    accepted = await tenant.accept(CHAIN | {"quote_id": quote["id"]})

    assert Decimal(accepted["quote"]["max_usd"]) == cheaper
    read = (await tenant.client.get(accepted["links"]["self"])).json()
    assert Decimal(read["quote_max_usd"]) == cheaper
    assert read["request"]["quote_id"] == quote["id"]


async def test_a_promise_that_todays_prices_have_no_room_in_is_refused_and_says_so(tenant: Tenant) -> None:
    quote = await quoted(tenant)
    await change(tenant, quote, max_usd="0.001")

    refused = await ask(tenant, CHAIN | {"quote_id": quote["id"]})

    assert (refused.status_code, refused.json()["code"]) == (422, "too_expensive")
    assert await tenant.counts() == {"generation": 0, "asset": 0, "spend": 0}


async def test_a_quote_is_good_for_one_generation(tenant: Tenant) -> None:
    quote = await quoted(tenant)
    body = CHAIN | {"quote_id": quote["id"]}

    answers = await asyncio.gather(*(ask(tenant, body) for _ in range(8)))
    answers.append(await ask(tenant, body))

    told = sorted(answer.status_code for answer in answers)
    assert told == [202] + [409] * 8
    (made,) = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {(problem["code"], problem["generation_id"]) for problem in refused} == {("quote_used", made)}
    assert all(made in problem["detail"] for problem in refused)
    assert (await tenant.counts())["generation"] == 1


async def test_a_repeated_request_with_a_quote_has_its_first_answer(tenant: Tenant) -> None:
    quote = await quoted(tenant)
    body = CHAIN | {"quote_id": quote["id"]}

    answers = await asyncio.gather(*(ask(tenant, body, **{"Idempotency-Key": "quoted"}) for _ in range(8)))
    await change(tenant, quote, expires_at="now()")
    later = await ask(tenant, body, **{"Idempotency-Key": "quoted"})

    assert {answer.status_code for answer in (*answers, later)} == {202}
    assert all(answer.json() == later.json() for answer in answers)


async def test_a_quote_is_for_the_very_request(tenant: Tenant) -> None:
    quote = await quoted(tenant)

    refused = await ask(tenant, AVATAR | {"quote_id": quote["id"]})

    assert (refused.status_code, refused.json()["code"]) == (422, "quote_mismatch")


async def test_a_quote_expires(tenant: Tenant) -> None:
    quote = await quoted(tenant)
    await change(tenant, quote, expires_at="now()")

    refused = await ask(tenant, CHAIN | {"quote_id": quote["id"]})

    assert (refused.status_code, refused.json()["code"]) == (410, "quote_expired")


async def test_somebody_elses_quote_is_as_unknown_as_one_that_there_never_was(tenant: Tenant, stranger: Tenant) -> None:
    quote = await quoted(stranger)

    theirs = await ask(tenant, CHAIN | {"quote_id": quote["id"]})
    nobodys = await ask(tenant, CHAIN | {"quote_id": str(uuid4())})

    assert theirs.status_code == nobodys.status_code == 404
    assert {**theirs.json(), "request_id": ""} == {**nobodys.json(), "request_id": ""}


async def test_a_failed_generations_retry_needs_no_quote_of_its_own(tenant: Tenant) -> None:
    quote = await quoted(tenant, AVATAR)
    accepted = await tenant.accept(AVATAR | {"quote_id": quote["id"]})
    await tenant.finish(accepted["id"], "failed", error={"code": "model_failed", "detail": "It failed."})

    again = await tenant.client.post(f"{accepted['links']['self']}/retry", json={})

    assert again.status_code == 202, again.text
    assert (await tenant.client.get(again.json()["links"]["self"])).json()["request"]["quote_id"] is None


async def test_a_quote_leaves_an_upload_as_unused_as_it_was_and_needs_it_to_be_there(tenant: Tenant) -> None:
    kept = await tenant.client.post("/v1/assets", content=png(), headers={"Content-Type": "image/png"})
    body = {"kind": "enhance", "image_asset_id": kept.json()["id"]}

    await quoted(tenant, body)
    missing = await tenant.client.post("/v1/quotes", json=body | {"image_asset_id": str(uuid4())})

    (row,) = await tenant.api.ask("select used_at from asset where id = :id", id=kept.json()["id"])
    assert row.used_at is None
    assert missing.status_code == 404


async def test_a_picture_behind_a_url_is_not_fetched_for_a_quote(tenant: Tenant, pictures: PictureHost) -> None:
    asked = len(pictures.asked)
    body = {"kind": "scene", "scene": {"theme": "coral-reef"}, "image_url": pictures.url("me.png")}

    quote = await quoted(tenant, body)
    accepted = await tenant.accept(body | {"quote_id": quote["id"]})

    assert len(pictures.asked) == asked + 1
    assert Decimal(accepted["quote"]["max_usd"]) == Decimal(quote["max_usd"])


async def test_a_request_that_may_cost_so_much_is_quoted_no_more(tenant: Tenant) -> None:
    usual = await quoted(tenant)
    limit = Decimal(usual["max_usd"]) / 2

    quote = await quoted(tenant, CHAIN | {"max_cost_usd": str(limit)})

    assert Decimal(quote["max_usd"]) == limit


async def test_what_cannot_be_made_is_not_quoted(tenant: Tenant) -> None:
    unknown = await tenant.client.post("/v1/quotes", json=AVATAR | {"model": "nobody/knows-it"})
    no_place = await tenant.client.post("/v1/quotes", json=CHAIN | {"scene": {"theme": "nowhere"}})

    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_model")
    assert (no_place.status_code, no_place.json()["code"]) == (422, "unknown_theme")
