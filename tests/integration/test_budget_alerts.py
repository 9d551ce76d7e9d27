"""Alerts of budgets on a real PostgreSQL: told once each, to whom they concern, whoever dies in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.delivery import DeliveryActivities
from activities.webhook_post import WebhookPost
from api.alert_teller import AlertTeller
from contracts.budgets import BudgetOf, Period
from contracts.names import CHANNEL_BUDGET
from contracts.statuses import DeliveryState
from contracts.webhook_secrets import WebhookSecrets
from contracts.webhooks import AttemptOrder, AttemptReport, WebhookEvent
from db import budget_alerts, budgets, generations, keys, webhook_endpoints
from db.budgets import NewBudget
from db.columns import new_id
from db.engine import Database
from db.listener import Listener
from db.models import Generation
from db.webhook_models import Delivery, WebhookEndpoint
from errors import NotFound
from public_http.client import PublicHttp
from public_http.places import PublicPlaces
from tests.hook_receiver import hook_receiver
from tests.integration.api.running_api import eventually
from tests.integration.conftest import Tables
from tests.integration.patience import PATIENT
from tests.integration.test_ledger import a_generation

SECRETS = WebhookSecrets("a secret of the tests")


class _TheEnd(Exception):
    """Of the process, before its transaction is committed."""


async def ask(tables: Tables, statement: str, **values: Any) -> list[Any]:
    async with tables.database.transaction() as session:
        result = await (await session.connection()).execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def a_budget(tables: Tables, of: BudgetOf = BudgetOf.tenant, *, owned: bool = True, usd: str = "1.00") -> UUID:
    """A soft one of this tenant, or an operator's."""
    owner = str(tables.tenant_id) if of is BudgetOf.tenant else ""
    whose = tables.tenant_id if owned else None
    async with tables.database.transaction() as session:
        wanted = NewBudget(of, owner, Period.day, Decimal(usd), hard=False, tenant_id=whose)
        return (await budgets.set_(session, wanted)).budget.id


async def an_endpoint(tables: Tables, *events: WebhookEvent, url: str = "https://x.example/", **fields: Any) -> UUID:
    """One that wants these events; without any, alerts."""
    wanted = list(events or [WebhookEvent.budget_alert])
    values: dict[str, Any] = {"tenant_id": tables.tenant_id, "url": url, "events": wanted} | fields
    async with tables.database.transaction() as session:
        return (await webhook_endpoints.create(session, WebhookEndpoint(**values))).id


async def promise(tables: Tables, usd: str) -> None:
    await a_generation(tables, quote_max_usd=Decimal(usd), hold_usd=Decimal(usd))


async def tell(tables: Tables) -> int:
    """One look, as each API process does it."""
    async with tables.database.transaction() as session:
        return len(await budget_alerts.tell(session, limit=50))


async def deliveries(tables: Tables, budget_id: UUID) -> list[tuple[UUID, int]]:
    """(endpoint, percent) of each delivery of the budget's alerts."""
    found = await ask(
        tables,
        "select endpoint_id, percent from delivery join budget_alert as a on a.id = alert_id"
        " where budget_id = :id order by percent, delivery.id",
        id=budget_id,
    )
    return [(row[0], row[1]) for row in found]


@pytest.fixture(autouse=True)
async def nobody_elses(tables: Tables) -> AsyncIterator[None]:
    """What other tests left to be told is told; and the budgets of this one end with it."""
    await ask(tables, "update budget_alert set told_at = now() where told_at is null")
    yield
    await ask(tables, "update budget set removed_at = now() where removed_at is null")


async def test_each_share_is_told_once_to_every_endpoint_that_names_it(tables: Tables) -> None:
    budget = await a_budget(tables)
    everything = await an_endpoint(tables, *WebhookEvent)
    alerts = await an_endpoint(tables, WebhookEvent.budget_alert)
    await an_endpoint(tables, WebhookEvent.succeeded)
    await an_endpoint(tables, events=[])  # wants all of generations
    await an_endpoint(tables, WebhookEvent.budget_alert, disabled_at=(await ask(tables, "select now()"))[0][0])

    await promise(tables, "0.60")
    first = await tell(tables)
    await promise(tables, "0.60")
    second = await tell(tables)

    assert (first, second, await tell(tables)) == (1, 2, 0)
    told = [(endpoint, percent) for percent in (50, 80, 100) for endpoint in (everything, alerts)]
    assert sorted(await deliveries(tables, budget)) == sorted(told)


async def test_many_who_tell_at_once_tell_each_once(tables: Tables) -> None:
    budget = await a_budget(tables)
    endpoint = await an_endpoint(tables)
    await asyncio.gather(*(promise(tables, "0.10") for _ in range(12)), *(tell(tables) for _ in range(12)))

    await asyncio.gather(*(tell(tables) for _ in range(12)))

    assert await deliveries(tables, budget) == [(endpoint, 50), (endpoint, 80), (endpoint, 100)]


async def test_who_dies_before_the_commit_has_told_nobody_and_the_next_one_tells(tables: Tables) -> None:
    budget = await a_budget(tables)
    endpoint = await an_endpoint(tables)
    await promise(tables, "0.60")

    with suppress(_TheEnd):
        async with tables.database.transaction() as session:
            await budget_alerts.tell(session, limit=50)
            raise _TheEnd

    assert await deliveries(tables, budget) == []
    await tell(tables)
    assert await deliveries(tables, budget) == [(endpoint, 50)]


async def test_what_an_operator_limited_is_told_to_the_operators_tenant_and_to_nobody_else(tables: Tables) -> None:
    async with tables.database.transaction() as session:
        key = keys.new_key()
        operators = await keys.ensure_key(session, key, pepper="p", tenant_name=key, operator=True)
    of_operator = await an_endpoint(tables, tenant_id=operators)
    await an_endpoint(tables)
    large = await a_budget(tables, BudgetOf.system, owned=False, usd="1000")
    used_by_all = "select held_usd + spent_usd from budget_period where budget_id = :id"
    ((used,),) = await ask(tables, used_by_all, id=large)
    system = await a_budget(tables, BudgetOf.system, owned=False, usd=str(used + Decimal("0.10")))
    of_tenant = await a_budget(tables, owned=False)

    await promise(tables, "0.60")
    await tell(tables)

    assert (of_operator, 100) in await deliveries(tables, system)
    assert {endpoint for endpoint, _ in await deliveries(tables, system)} == {of_operator}
    assert await deliveries(tables, of_tenant) == [(of_operator, 50)]


async def test_a_process_that_has_nothing_to_tell_begins_no_transaction_that_writes(tables: Tables) -> None:
    begun: list[str] = []
    database = Database(tables.url, patience=PATIENT, reach=begun.append)
    teller = AlertTeller(database, Listener(tables.url, (CHANNEL_BUDGET,)))
    await a_budget(tables)

    assert (await teller.tell(), begun) == (0, [])
    await promise(tables, "0.60")
    assert (await teller.tell(), begun) == (1, ["alert.told:before", "alert.told:after"])
    assert await teller.tell() == 0
    await database.close()


async def test_a_process_that_listens_tells_as_soon_as_the_share_is_reached(tables: Tables) -> None:
    budget = await a_budget(tables)
    endpoint = await an_endpoint(tables)
    listener = Listener(tables.url, (CHANNEL_BUDGET,))
    async with listener.listening(), AlertTeller(tables.database, listener).running():
        await promise(tables, "1.00")
        await eventually(lambda: _has_three(tables, budget))

    assert await deliveries(tables, budget) == [(endpoint, 50), (endpoint, 80), (endpoint, 100)]


async def _has_three(tables: Tables, budget: UUID) -> bool:
    return len(await deliveries(tables, budget)) == 3


async def test_an_alert_arrives_signed_and_is_written_down_as_delivered(tables: Tables) -> None:
    budget = await a_budget(tables)
    async with hook_receiver() as receiver:
        endpoint = await an_endpoint(tables, url=receiver.url("alerts"))
        await promise(tables, "0.60")
        await tell(tables)
        ((delivery_id,),) = await ask(
            tables,
            "select delivery.id from delivery join budget_alert as a on a.id = alert_id where budget_id = :id",
            id=budget,
        )
        http = PublicHttp(PublicPlaces(frozenset({receiver.host_and_port})))
        activities = DeliveryActivities(database=tables.database, post=WebhookPost(http), secrets=SECRETS)
        order = AttemptOrder(delivery_id=delivery_id, run=1, number=1, pause_s=None)
        report: AttemptReport = await ActivityEnvironment().run(activities.deliver, order)
        await http.close()

    assert report.state is DeliveryState.delivered
    (arrived,) = receiver.at("alerts")
    arrived.verify(SECRETS.secret(endpoint, 1))
    message = arrived.content
    assert (message["type"], message["data"]["percent"], message["data"]["used_usd"]) == (
        "budget.alert",
        50,
        "0.600000",
    )
    assert message["data"]["budget_id"] == str(budget)
    async with tables.database.transaction() as session:
        row = await session.get_one(Delivery, delivery_id)
    assert (row.state, row.generation_id, row.event_seq) == (DeliveryState.delivered, None, None)


async def test_alerts_are_listed_newest_first_and_page_by_page_for_their_owner_alone(tables: Tables) -> None:
    budget = await a_budget(tables)
    await promise(tables, "1.00")
    async with tables.database.transaction() as session:
        whole = await budget_alerts.page(session, budget, tenant_id=tables.tenant_id, before=None, limit=10)
        first = await budget_alerts.page(session, budget, tenant_id=None, before=None, limit=2)
        rest = await budget_alerts.page(session, budget, tenant_id=None, before=first[-1].id, limit=2)

    assert [alert.percent for alert in whole] == [100, 80, 50] == [alert.percent for alert in [*first, *rest]]
    async with tables.database.transaction() as session:
        with pytest.raises(NotFound):
            await budget_alerts.page(session, budget, tenant_id=UUID(int=1), before=None, limit=10)


async def test_a_generation_that_was_refused_has_reached_nothing(tables: Tables) -> None:
    """The alert is written in the transaction that promises, and goes with it."""
    budget = await a_budget(tables)
    row = await a_generation(tables, quote_max_usd=Decimal("0.10"), hold_usd=Decimal("0.10"))
    again = Generation(**row.model_dump() | {"id": new_id(), "hold_usd": Decimal("0.90")})

    with suppress(_TheEnd):
        async with tables.database.transaction() as session:
            assert await generations.accept(session, again)
            raise _TheEnd

    assert await ask(tables, "select percent from budget_alert where budget_id = :id", id=budget) == []
