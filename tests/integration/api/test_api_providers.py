"""What everybody sees of providers and models: the catalog, how they stand, and the figures of it."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest

from contracts.pictures import Candidate, PictureOrder
from contracts.standing import BreakerState
from contracts.statuses import Step
from db import ledger, traffic
from db.ledger import PromptUsed
from db.standing_models import Breaker
from db.traffic import Tally
from storage.memory import MemoryStorage
from tests.integration.api.deciding import CATALOG, ENTRY, MODEL, NOTE, an_operator, decide, get
from tests.integration.api.running_api import (
    AVATAR,
    RunningApi,
    Tenant,
    eventually,
    running_api,
    settings_for,
)
from tests.integration.patience import HTTP_S


@pytest.fixture(autouse=True)
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with an_operator(api) as operator:
        yield operator


async def shown(tenant: Tenant, path: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """The answer as soon as it has these members; how providers stand may be a second old."""

    async def look() -> dict[str, Any]:
        found = await get(tenant, path)
        return found if found.items() >= wanted.items() else {}

    return await eventually(look)


async def measured(api: RunningApi, took_s: float, count: int) -> None:
    """So many pictures of the model were finished just now."""
    async with api.database.transaction() as session:
        tally = Tally(successes=count, took=[took_s] * count)
        await traffic.record_tallies(session, {("replicate", ENTRY.model): tally})


async def claimed(tenant: Tenant) -> UUID:
    """A purchase of the model that is about to be sent."""
    accepted = await tenant.accept(AVATAR)
    candidate = Candidate(provider="replicate", model=ENTRY.model, max_usd=Decimal("0.05"), unknown_policy="review")
    order = PictureOrder(
        generation_id=UUID(accepted["id"]),
        tenant_id=tenant.id,
        step=Step.avatar,
        purchase=0,
        candidate=candidate,
        reference=None,
        deadline_s=60,
    )
    prompt = PromptUsed(text="a captain", name="avatar", version="1", sha256="f" * 64)
    async with tenant.api.database.transaction() as session:
        return (await ledger.claim(session, order, prompt)).id


async def test_providers_are_listed_with_and_without_a_key_here(tenant: Tenant) -> None:
    items = (await get(tenant, "/v1/providers"))["items"]
    replicate = next(item for item in items if item["name"] == "replicate")

    assert [item["name"] for item in items] == [entry.name for entry in CATALOG.providers]
    assert {item["name"] for item in items if item["configured"]} == {"replicate"}
    assert (replicate["recoverable"], replicate["synchronous"]) == (True, False)
    assert replicate["limit"] == {"creates_per_minute": 600, "set_by_operator": False}
    assert (replicate["health"]["mode"], replicate["health"]["breaker"]) == ("active", "closed")
    assert ENTRY.model in replicate["models"]
    assert await get(tenant, "/v1/providers/replicate") == replicate


async def test_models_are_listed_in_order_of_preference_with_prices_and_dates(tenant: Tenant) -> None:
    items = (await get(tenant, "/v1/models"))["items"]
    one = await get(tenant, MODEL)

    keys = [(item["provider"], item["model"]) for item in items]
    assert keys == [(entry.provider, entry.model) for entry in CATALOG.models]
    assert one == next(item for item in items if item["model"] == ENTRY.model and item["provider"] == "replicate")
    assert (one["available"], one["unavailable_because"], one["prices_checked"]) == (True, None, str(ENTRY.checked))
    assert {price["quality"] for price in one["prices"]} == set(ENTRY.prices)


async def test_a_model_that_cannot_be_bought_here_says_why(tenant: Tenant) -> None:
    items = (await get(tenant, "/v1/models"))["items"]
    elsewhere = next(item for item in items if item["provider"] == "openai")

    assert (elsewhere["configured"], elsewhere["available"]) == (False, False)
    assert "no key" in elsewhere["unavailable_because"]
    assert elsewhere["estimate"]["unknown_because"] == elsewhere["unavailable_because"]


@pytest.mark.parametrize("path", ["/v1/providers/nobody", "/v1/models/nobody/m", "/v1/models/replicate/a/b/c"])
async def test_what_the_catalog_does_not_have_is_not_found(tenant: Tenant, path: str) -> None:
    answer = await tenant.client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_estimate_is_what_was_measured_lately_and_nothing_before(tenant: Tenant) -> None:
    unknown = (await get(tenant, MODEL))["estimate"]
    await measured(tenant.api, took_s=10.0, count=20)

    async def known() -> dict[str, Any]:
        found: dict[str, Any] = (await get(tenant, MODEL))["estimate"]
        return found if found["median_s"] is not None else {}

    estimate = await eventually(known)
    assert (unknown["median_s"], unknown["unknown_because"]) == (
        None,
        "It finished no picture in the last five minutes.",
    )
    assert 7 < estimate["median_s"] - estimate["wait_s"] < 13
    assert (estimate["samples"], estimate["unknown_because"]) == (20, None)


async def test_the_queue_counts_purchases_that_are_not_ready(tenant: Tenant) -> None:
    before = (await get(tenant, MODEL))["queue"]["held"]
    await claimed(tenant)
    queue = {"held": before + 1, "at_provider": 0}

    found = await shown(tenant, MODEL, {"queue": queue})
    of_all = (await get(tenant, "/v1/providers/replicate"))["queue"]
    assert found["estimate"]["ahead"] >= 1
    assert of_all["held"] >= queue["held"]


async def test_two_tenants_see_the_same_and_nothing_of_each_other(tenant: Tenant, stranger: Tenant) -> None:
    accepted = await stranger.accept(AVATAR)
    seen = [await get(one, "/v1/providers") for one in (tenant, stranger)]
    text = str(await get(tenant, "/v1/models")) + str(seen)

    assert [word for word in (accepted["id"], str(stranger.id), str(tenant.id)) if word in text] == []
    assert [[item["name"] for item in one["items"]] for one in seen] == [
        [entry.name for entry in CATALOG.providers]
    ] * 2


async def test_metrics_say_how_every_lane_stands_and_count_what_happened(
    api: RunningApi, tenant: Tenant, operator: Tenant
) -> None:
    await decide(operator, "replicate/limit", NOTE | {"creates_per_minute": 30})
    async with api.database.transaction() as session:
        session.add(Breaker(provider="replicate", model=ENTRY.model, state=BreakerState.open))
    model = f'model="{ENTRY.model}",provider="replicate"'
    wanted = {
        _sorted_labels(line)
        for line in (
            f'diorama_breaker_state{{{model},state="open"}} 1.0',
            'diorama_breaker_state{model="",provider="replicate",state="closed"} 1.0',
            f'diorama_lane_mode{{{model},mode="active"}} 1.0',
            'diorama_lane_limit_per_minute{model="",provider="replicate"} 30.0',
        )
    }

    async def exposed() -> set[str]:
        lines = (await tenant.client.get("/metrics")).text.splitlines()
        series = {_sorted_labels(line) for line in lines}
        counted = any(line.startswith("diorama_provider_events_total{") and "lane.limited" in line for line in lines)
        return series if wanted <= series and counted else set()

    series = await eventually(exposed)
    assert any(line.startswith("diorama_generations_ahead ") for line in series)
    assert any(line.startswith("diorama_purchases_live{") for line in series)


async def test_without_a_database_there_are_metrics_and_no_old_figures_of_providers() -> None:
    settings = settings_for("postgresql+asyncpg://nobody@127.0.0.1:9/nothing", "127.0.0.1:9")
    async with (
        running_api(settings, MemoryStorage()) as broken,
        httpx.AsyncClient(base_url=broken.url, timeout=HTTP_S) as client,
    ):
        answer = await client.get("/metrics")

    assert answer.status_code == 200
    assert "diorama_dispatch_backlog" in answer.text
    assert "diorama_breaker_state" not in answer.text


def _sorted_labels(line: str) -> str:
    """A series with its labels in the order of their names: the library's order is not promised."""
    name, brace, rest = line.partition("{")
    labels, _, value = rest.rpartition("}")
    return f"{name}{{{','.join(sorted(labels.split(',')))}}}{value}" if brace else line
