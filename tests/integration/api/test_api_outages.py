"""Servers that break while requests run: clients get an acceptance or a 503, and nothing is lost or left behind."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from errors import StorageError, StorageFull, StorageUnavailable
from storage.base import NewObject, StoredObject
from storage.memory import MemoryStorage
from tests.integration.api.picture_host import PictureHost
from tests.integration.api.running_api import (
    AVATAR,
    RunningApi,
    Tenant,
    eventually,
    new_tenant,
    running_api,
    settings_for,
)
from tests.integration.patience import HTTP_S

CUT = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where application_name = 'diorama-api' and datname = current_database()"
)


async def test_connections_that_are_cut_give_503_and_every_202_has_its_row(tenant: Tenant) -> None:
    statuses: list[int] = []
    accepted: list[str] = []

    async def order(number: int) -> None:
        headers = {"Idempotency-Key": f"order-{number}"}
        answer = await tenant.client.post("/v1/generations", json=AVATAR, headers=headers)
        statuses.append(answer.status_code)
        if answer.status_code == 202:
            accepted.append(answer.json()["id"])

    for batch in range(8):
        orders = [asyncio.create_task(order(batch * 10 + number)) for number in range(10)]
        await tenant.api.ask(CUT)
        await asyncio.gather(*orders)

    rows = await tenant.api.ask("select id::text from generation where tenant_id = :id", id=tenant.id)
    assert set(statuses) <= {202, 503}
    assert set(accepted) <= {row.id for row in rows}


async def test_a_request_that_got_503_can_be_repeated_with_its_key_until_it_is_accepted_once(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "insist"}

    async def insist() -> str:
        while True:
            answer = await tenant.client.post("/v1/generations", json=AVATAR, headers=headers)
            if answer.status_code == 202:
                return str(answer.json()["id"])

    asked = [asyncio.create_task(insist()) for _ in range(8)]
    for _ in range(5):
        await tenant.api.ask(CUT)
    ids = await asyncio.gather(*asked)

    assert len(set(ids)) == 1
    assert (await tenant.counts())["generation"] == 1


@pytest.mark.parametrize("error", [StorageUnavailable, StorageFull])
async def test_a_store_that_is_away_or_full_accepts_nothing_and_keeps_nothing(
    api_database_url: str, pictures: PictureHost, error: type[StorageError]
) -> None:
    class AwayStorage(MemoryStorage):
        async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
            raise error

    settings = settings_for(api_database_url, "127.0.0.1:9", image_url_hosts=pictures.host_and_port)
    async with running_api(settings, AwayStorage()) as broken, new_tenant(broken) as tenant:
        body = {"kind": "scene", "scene": {"theme": "coral-reef"}, "image_url": pictures.url("me.png")}
        answer = await tenant.client.post("/v1/generations", json=body)
        states = await tenant.api.ask("select state from asset where tenant_id = :id", id=tenant.id)

    assert (answer.status_code, answer.json()["code"]) == (503, error.code)
    assert int(answer.headers["Retry-After"]) > 0
    assert [row.state for row in states] == ["deleted"]


async def test_a_store_that_falls_silent_is_not_waited_for_when_nothing_was_accepted(
    api_database_url: str, pictures: PictureHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.input_pictures.TAKE_BACK_S", 0.1)

    class SilentStorage(MemoryStorage):
        async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
            raise StorageUnavailable

        async def delete(self, key: str) -> None:
            await asyncio.Event().wait()

    settings = settings_for(api_database_url, "127.0.0.1:9", image_url_hosts=pictures.host_and_port)
    async with running_api(settings, SilentStorage()) as broken, new_tenant(broken) as tenant:
        body = {"kind": "scene", "scene": {"theme": "coral-reef"}, "image_url": pictures.url("me.png")}
        answer = await tenant.client.post("/v1/generations", json=body)
        states = await tenant.api.ask("select state from asset where tenant_id = :id", id=tenant.id)

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert [row.state for row in states] == ["deleting"], "the reconciler finishes it"


async def test_a_store_that_comes_late_makes_the_api_ready(api_database_url: str) -> None:
    class LateStorage(MemoryStorage):
        has_come = False

        async def prepare(self) -> None:
            if not self.has_come:
                raise StorageUnavailable

    storage = LateStorage()
    settings = settings_for(api_database_url, "127.0.0.1:9")
    async with (
        running_api(settings, storage) as late,
        httpx.AsyncClient(base_url=late.url, timeout=HTTP_S) as client,
    ):
        first = await client.get("/readyz")
        storage.has_come = True

        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        assert await eventually(is_ready)

    assert (first.status_code, first.json()["store"]) == (503, False)


async def test_what_one_api_accepted_without_an_engine_another_starts(
    api_database_url: str, api: RunningApi, engine: WorkflowEnvironment
) -> None:
    async with running_api(settings_for(api_database_url, "127.0.0.1:9"), MemoryStorage()) as lonely:
        async with new_tenant(lonely) as tenant:
            accepted = await tenant.accept(AVATAR)
        await lonely.ask(
            "update generation set created_at = created_at - interval '10 seconds' where id = :id", id=accepted["id"]
        )
    marked = "select 1 from generation where id = :id and dispatched_at is not null"

    assert await eventually(lambda: api.ask(marked, id=accepted["id"]))
    described = await engine.client.get_workflow_handle(f"generation/{accepted['id']}").describe()
    assert described.workflow_type == "diorama.Avatar"
