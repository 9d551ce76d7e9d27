"""A thousand requests at once against a budget for a hundred, over one and three API processes, while workers are killed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from db import keys
from tests.acceptance.client import Diorama, Json, only_avatar
from tests.acceptance.killable.test_exactly_once import second_api, serves

REQUESTS, FITTING = 1000, 100
# Less than the server says in Retry-After, so that it is never idle.
AGAIN_AFTER_S = 1
# Jobs of this provider can be found again, so that no kill leaves anything for people to decide.
BODY = only_avatar(quality="low", providers=["replicate"])
ENDED = "select count(*) from generation where tenant_id = :id and status not in ('queued', 'running')"


async def rows(diorama: Diorama, query: str, **values: Any) -> list[Any]:
    async with diorama.database.transaction() as session:
        return list((await (await session.connection()).execute(text(query), values)).all())


@asynccontextmanager
async def a_tenant(diorama: Diorama, urls: list[str]) -> AsyncIterator[tuple[UUID, list[httpx.AsyncClient]]]:
    """A new tenant, and a client of its key for each address, with as many connections as it likes."""
    key = keys.new_key()
    pepper = diorama.stack.environment()["DIORAMA_API_KEY_PEPPER"]
    async with diorama.database.transaction() as session:
        tenant_id = await keys.ensure_key(session, key, pepper=pepper, tenant_name=key)
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=2)
    async with AsyncExitStack() as stack:
        made = [httpx.AsyncClient(base_url=url, headers=headers, timeout=120, limits=limits) for url in urls]
        yield tenant_id, [await stack.enter_async_context(client) for client in made]


async def answered(client: httpx.AsyncClient) -> httpx.Response:
    """The answer to one request, which comes again with its key as long as the server is too busy for it: impatiently."""
    headers = {"Idempotency-Key": uuid4().hex}
    while True:
        try:
            answer = await client.post("/v1/generations", json=BODY, headers=headers)
        except httpx.TransportError:  # more connections at once than the system lets through
            continue
        if answer.status_code != 503:
            return answer
        await asyncio.sleep(AGAIN_AFTER_S)


async def budget(diorama: Diorama, owner: UUID, usd: Decimal, *, hard: bool) -> Json:
    wanted = {"of": "tenant", "owner": str(owner), "period": "month", "limit_usd": str(usd), "hard": hard}
    answer = await diorama.http.post("/v1/budgets", json=wanted)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


async def so_many_ended(diorama: Diorama, tenant_id: UUID, enough: int) -> None:
    async def ended() -> int:
        ((count,),) = await rows(diorama, ENDED, id=tenant_id)
        return int(count)

    await diorama.until(ended, lambda count: count >= enough, within_s=240)


async def is_up(diorama: Diorama, url: str) -> None:
    await diorama.until(lambda: serves(url), bool)


@asynccontextmanager
async def worker_away(diorama: Diorama) -> AsyncIterator[None]:
    await diorama.stack.stop_service("worker")
    try:
        yield
    finally:
        await diorama.stack.start_service("worker")


async def worked_off(diorama: Diorama, tenant_id: UUID, kills: int) -> None:
    """The worker does it all, and is killed as the work goes on, each time when some more has ended."""
    for kill in range(1, kills + 1):
        await so_many_ended(diorama, tenant_id, kill * FITTING // (kills + 2))
        await diorama.stack.kill("worker")
        await diorama.stack.start_service("worker")
    await so_many_ended(diorama, tenant_id, FITTING)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("processes", "kills"), [(1, 0), (3, 3)])
async def test_of_a_thousand_requests_at_once_those_are_accepted_that_fit_the_budget(
    diorama: Diorama, tmp_path: Path, processes: int, kills: int
) -> None:
    async with AsyncExitStack() as stack:
        urls = [str(diorama.http.base_url)]
        for number in range(1, processes):
            folder = tmp_path / str(number)
            folder.mkdir()
            urls.append(await stack.enter_async_context(second_api(diorama.stack, folder)))
        # What ends gives money back, and more would fit. Beside the start of the others: neither waits for the other.
        await stack.enter_async_context(worker_away(diorama))
        await asyncio.gather(*(is_up(diorama, url) for url in urls))
        tenant_id, clients = await stack.enter_async_context(a_tenant(diorama, urls))
        most = Decimal((await clients[0].post("/v1/quotes", json=BODY)).json()["max_usd"])
        limit = most * FITTING
        hard = await budget(diorama, tenant_id, limit, hard=True)
        soft = await budget(diorama, tenant_id, limit / 2, hard=False)
        answers = await asyncio.gather(*(answered(clients[number % processes]) for number in range(REQUESTS)))
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    diorama.started += accepted

    assert Counter(answer.status_code for answer in answers) == {202: FITTING, 402: REQUESTS - FITTING}
    assert len(set(accepted)) == FITTING
    ((asked,),) = await rows(diorama, "select count(*) from generation where tenant_id = :id", id=tenant_id)
    assert asked == FITTING
    await worked_off(diorama, tenant_id, kills)
    await nothing_is_held(diorama, tenant_id, (hard, soft))


async def nothing_is_held(diorama: Diorama, tenant_id: UUID, budgets: tuple[Json, Json]) -> None:
    """All has ended: what was spent is what counts, and each share was told of once."""
    query = "select sum(hold_usd), sum(cost_usd) from generation where tenant_id = :id"
    ((held, spent),) = await rows(diorama, query, id=tenant_id)
    assert held == 0
    for made in budgets:
        counted = "select held_usd, spent_usd from budget_period where budget_id = :id"
        assert await rows(diorama, counted, id=made["id"]) == [(Decimal(0), spent)]
        told = "select percent, count(*) from budget_alert where budget_id = :id group by percent order by percent"
        assert await rows(diorama, told, id=made["id"]) == [(50, 1), (80, 1), (100, 1)]
    assert 0 < spent <= Decimal(budgets[0]["limit_usd"])
