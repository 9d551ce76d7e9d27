"""Health, readiness, metrics, the OpenAPI document, and problems that only a broken server shows."""

import httpx
import pytest

from errors import StorageUnavailable
from storage.base import StoredObject
from storage.memory import MemoryStorage
from tests.integration.api.running_api import AVATAR, CHAIN, RunningApi, Tenant, eventually, running_api, settings_for
from tests.integration.patience import HTTP_S


async def when_they_answer(tenant: Tenant, **servers: bool) -> httpx.Response:
    """What is said once these servers answer: on a busy machine each may take longer than it is waited for."""

    async def they_do() -> httpx.Response | None:
        answer = await tenant.client.get("/readyz")
        return answer if servers.items() <= answer.json().items() else None

    return await eventually(they_do)


async def test_a_ready_api_says_which_servers_answer(tenant: Tenant) -> None:
    answer = await when_they_answer(tenant, database=True, store=True, engine=True)

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "database": True, "store": True, "engine": True}


async def test_an_api_without_an_engine_is_ready_and_says_so(offline_tenant: Tenant) -> None:
    answer = await when_they_answer(offline_tenant, database=True, store=True)

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "database": True, "store": True, "engine": False}


async def test_an_api_without_a_store_is_not_ready(api_database_url: str) -> None:
    class AwayStorage(MemoryStorage):
        async def stat(self, key: str) -> StoredObject:
            raise StorageUnavailable

    settings = settings_for(api_database_url, "127.0.0.1:9")
    async with (
        running_api(settings, AwayStorage()) as broken,
        httpx.AsyncClient(base_url=broken.url, timeout=HTTP_S) as client,
    ):
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert (answer.json()["ready"], answer.json()["store"]) == (False, False)


async def test_without_a_database_every_answer_is_a_problem_that_says_when_to_come_back(tenant: Tenant) -> None:
    settings = settings_for("postgresql+asyncpg://nobody@127.0.0.1:9/nothing", "127.0.0.1:9")
    async with (
        running_api(settings, MemoryStorage()) as broken,
        httpx.AsyncClient(base_url=broken.url, timeout=HTTP_S) as client,
    ):
        headers = {"Authorization": f"Bearer {tenant.key}"}
        accepted = await client.post("/v1/generations", json=AVATAR, headers=headers)
        alive = await client.get("/healthz")
        ready = await client.get("/readyz")

    assert (accepted.status_code, accepted.json()["code"]) == (503, "database_unavailable")
    assert accepted.headers["retry-after"] == "2"
    assert alive.status_code == 200
    assert (ready.status_code, ready.json()["database"]) == (503, False)


async def test_metrics_count_requests_by_route_and_not_by_path(tenant: Tenant) -> None:
    accepted = await tenant.accept(CHAIN)
    await tenant.client.get(accepted["links"]["self"])

    exposition = (await tenant.client.get("/metrics")).text

    assert (
        'diorama_http_requests_total{method="GET",route="/v1/generations/{generation_id}",status="200"}' in exposition
    )
    assert "diorama_dispatch_backlog" in exposition
    assert accepted["id"] not in exposition


async def test_themes_are_listed(tenant: Tenant) -> None:
    names = [theme["name"] for theme in (await tenant.client.get("/v1/themes")).json()["items"]]

    assert {"aurora-night", "coral-reef", "moon-base"} <= set(names)


async def test_the_openapi_document_shows_examples_problems_and_the_key(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.url, timeout=HTTP_S) as client:
        document = (await client.get("/openapi.json")).json()

    accept = document["paths"]["/v1/generations"]["post"]
    examples = accept["requestBody"]["content"]["application/json"]["examples"]
    problem = accept["responses"]["422"]["content"]["application/problem+json"]["schema"]["$ref"]
    assert {"avatar", "scene_from_url", "avatar_scene"} <= examples.keys()
    assert problem == "#/components/schemas/Problem"
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert accept["security"] == [{"apiKey": []}]
    used = str(document)
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}'" in used


@pytest.mark.parametrize("given", ["my-trace.7", None, "no spaces please"])
async def test_a_request_keeps_its_harmless_id_or_gets_one(tenant: Tenant, given: str | None) -> None:
    headers = {"X-Request-Id": given} if given else {}

    answer = await tenant.client.get("/healthz", headers=headers)

    kept = answer.headers["x-request-id"]
    assert kept == given if given == "my-trace.7" else len(kept) == 32
