"""Usage over HTTP: who sees what, as JSON and as a file for a spreadsheet."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from db.columns import now
from tests.integration.api.openai_client import fail, newest, worked_on
from tests.integration.api.running_api import AVATAR, CHAIN, RunningApi, Tenant, eventually, new_tenant

USAGE = "/v1/usage"


@pytest.fixture
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api, operator=True) as operator:
        yield operator


async def usage(who: Tenant, **query: Any) -> dict[str, Any]:
    answer = await who.client.get(USAGE, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def bought(tenant: Tenant, generation_id: str, usd: str, **more: Any) -> None:
    """A purchase that was paid, as the worker writes it."""
    values = {"provider": "replicate", "model": "openai/gpt-image-2.5-flare"} | more
    await tenant.api.ask(
        """
        insert into spend (id, tenant_id, generation_id, step, purchase, state, provider, model, own_key, token, prompt,
            prompt_name, prompt_version, prompt_hash, hold_usd, cost_usd, billed, possible_duplicate, lease, lease_until,
            deadline_at, sends, asset_id, created_at, sent_at, ended_at)
        select cast(:spend as uuid), tenant_id, id, 'avatar', (select count(*) from spend where generation_id = g.id),
            'settled', :provider, :model, false, gen_random_uuid(), '', '', '', '', 0, cast(:usd as numeric), 'yes', false, 1,
            now(), now(), 1, gen_random_uuid(), now(), now(), now()
        from generation as g where id = cast(:id as uuid)
        """,
        spend=str(uuid7()),
        id=generation_id,
        usd=usd,
        **values,
    )


async def test_without_a_word_it_is_the_last_thirty_days_by_day(tenant: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)

    found = await usage(tenant)

    last = now().date()
    assert (found["from"], found["to"]) == ((last - timedelta(days=29)).isoformat(), last.isoformat())
    assert found["group_by"] == ["day"]
    assert [item["group"] for item in found["items"]] == [{"day": last.isoformat()}]
    assert Decimal(found["totals"]["held_usd"]) == Decimal(accepted["quote"]["max_usd"])
    assert (found["totals"]["generations"], found["totals"]["cost_usd"], found["truncated"]) == (1, "0.000000", False)


async def test_who_asked_for_what_is_told_by_key_user_session_tag_and_kind(tenant: Tenant) -> None:
    accepted = await tenant.accept(CHAIN | {"user_id": "ann", "tags": ["blue", "red"]})
    await tenant.accept(AVATAR)
    await bought(tenant, accepted["id"], "0.04")

    by_user = await usage(tenant, group_by="user,session,kind")
    by_tag = await usage(tenant, group_by="tag")
    by_key = await usage(tenant, group_by="key,provider")

    assert [(item["group"], item["cost_usd"]) for item in by_user["items"]] == [
        ({"user": "ann", "session": "evening-walk", "kind": "avatar_scene"}, "0.040000"),
        ({"user": None, "session": None, "kind": "avatar"}, "0.000000"),
    ]
    assert [(item["group"]["tag"], item["cost_usd"]) for item in by_tag["items"]] == [
        ("blue", "0.040000"),
        ("red", "0.040000"),
        (None, "0.000000"),
    ]
    assert by_tag["totals"]["cost_usd"] == "0.040000"
    key_id = tenant.key.split("_")[1]
    assert [(item["group"], item["generations"]) for item in by_key["items"]] == [
        ({"key": key_id, "provider": "replicate"}, 1),
        ({"key": key_id, "provider": None}, 1),
    ]


async def test_a_tenant_sees_nothing_of_another(tenant: Tenant, stranger: Tenant) -> None:
    await tenant.accept(AVATAR)

    assert (await usage(stranger, group_by="key"))["items"] == []
    refused = await stranger.client.get(USAGE, params={"group_by": "tenant"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_an_operator")


async def test_an_operator_sees_the_own_tenant_or_all_of_them(tenant: Tenant, operator: Tenant) -> None:
    await tenant.accept(AVATAR)

    everybody = await usage(operator, group_by="tenant,kind", limit=10_000)

    mine = [item for item in everybody["items"] if item["group"]["tenant"] == str(tenant.id)]
    assert [(item["group"]["kind"], item["generations"]) for item in mine] == [("avatar", 1)]
    assert (await usage(operator))["items"] == []


@pytest.mark.parametrize("asked", [{"headers": {"Accept": "text/csv"}}, {"params": {"format": "csv"}}])
async def test_as_csv_it_is_a_file_whose_cells_are_no_formulas(tenant: Tenant, asked: dict[str, Any]) -> None:
    accepted = await tenant.accept(AVATAR | {"session_id": "-2.5"})
    await bought(tenant, accepted["id"], "0.0125")
    params = {"group_by": "session,day"} | asked.pop("params", {})

    answer = await tenant.client.get(USAGE, params=params, **asked)

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="usage-')
    assert len(answer.content) == int(answer.headers["Content-Length"])
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert answer.text.endswith("\r\n")
    assert [(row["session"], row["day"], row["cost_usd"], row["purchases"]) for row in rows] == [
        ("'-2.5", now().date().isoformat(), "0.012500", "1")
    ]


async def test_a_json_answer_says_that_there_is_more_and_csv_has_all_of_it(tenant: Tenant) -> None:
    for number in range(3):
        await tenant.accept(AVATAR | {"session_id": f"s{number}"})

    found = await usage(tenant, group_by="session", limit=2)
    whole = await tenant.client.get(USAGE, params={"group_by": "session", "limit": 2, "format": "csv"})

    assert (len(found["items"]), found["truncated"], found["totals"]["generations"]) == (2, True, 3)
    assert len(whole.text.splitlines()) == 4


@pytest.mark.parametrize(
    "query",
    [
        {"group_by": "colour"},
        {"group_by": "day,day"},
        {"group_by": "day,key,user,session"},
        {"group_by": ""},
        {"from": "2026-03-02", "to": "2026-03-01"},
        {"from": "2024-01-01", "to": "2026-03-01"},
        {"from": "yesterday"},
        {"to": "0001-01-01"},
        {"limit": 0},
        {"format": "xml"},
        {"colour": "red"},
    ],
)
async def test_what_makes_no_sense_is_refused(tenant: Tenant, query: dict[str, Any]) -> None:
    answer = await tenant.client.get(USAGE, params=query)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


# As many as the connections that requests are accepted on.
MANY = 20


@asynccontextmanager
async def usage_that_waits(tenant: Tenant) -> AsyncIterator[list[asyncio.Task[httpx.Response]]]:
    """Many readers of usage, none of which gets on while the block lasts."""
    waiting = "select count(*) from pg_locks where not granted and relation = 'spend'::regclass"
    async with tenant.api.database.transaction() as session:
        await (await session.connection()).execute(text("lock table spend in access exclusive mode"))
        asked = [asyncio.create_task(tenant.client.get(USAGE)) for _ in range(MANY)]

        async def all_wait() -> bool:
            in_lock = (await tenant.api.ask(waiting))[0][0]
            return bool(in_lock) and len(tenant.api.server.server_state.tasks) >= MANY

        await eventually(all_wait)
        yield asked


async def test_readers_of_usage_keep_nobody_from_the_database(tenant: Tenant) -> None:
    await usage(tenant)

    async with usage_that_waits(tenant) as asked:
        await tenant.accept(AVATAR)

        assert not any(one.done() for one in asked)
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}


async def test_the_generations_of_a_user_are_listed(tenant: Tenant) -> None:
    mine = await tenant.accept(AVATAR | {"user_id": "ann"})
    await tenant.accept(AVATAR | {"user_id": "bob"})

    found = (await tenant.client.get("/v1/generations", params={"user": "ann"})).json()["items"]

    assert [(item["id"], item["user_id"]) for item in found] == [(mine["id"], "ann")]


async def test_what_an_application_of_openai_calls_its_user_counts_as_that_where_it_has_its_form(
    tenant: Tenant,
) -> None:
    for count, who in enumerate(("ann", "ann@example.com"), start=1):

        async def end(count: int = count) -> None:
            await fail(tenant, await newest(tenant, count), "policy_refused")

        async with worked_on(end):
            await tenant.client.post("/v1/images/generations", json={"prompt": "a lighthouse", "user": who})

    found = await usage(tenant, group_by="user")

    assert {item["group"]["user"]: item["generations"] for item in found["items"]} == {"ann": 1, None: 1}
