"""What clients see while PostgreSQL is away or silent: answers within seconds, 503 or right, and streams without gaps."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from db.engine import IMPATIENT
from deploy.local import LocalStack, StackOptions
from storage.memory import MemoryStorage
from tests.integration.api.running_api import (
    AVATAR,
    RunningApi,
    Tenant,
    eventually,
    new_tenant,
    running_api,
    settings_for,
)
from tests.integration.api.test_api_events import stream

# Only ends a broken test: each request has to be answered by itself long before.
HANGS_S = 60


@pytest.fixture(scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    folder = tmp_path_factory.mktemp("api-outages")
    services = frozenset({"postgres", "migrations"})
    async with LocalStack(folder, services=services, options=StackOptions(fsync=False)) as stack:
        yield stack


@pytest.fixture(scope="module")
async def own_api(postgres: LocalStack) -> AsyncIterator[RunningApi]:
    """A database that is down says so at once, and one that is up again may be slow for a while: for the tests, not for the API."""
    settings = settings_for(postgres.environment()["DIORAMA_DATABASE_URL"], "127.0.0.1:9")
    async with running_api(settings, MemoryStorage()) as running:
        yield running


@pytest.fixture
async def guest(own_api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(own_api) as tenant:
        yield tenant


@pytest.fixture
async def impatient_guest(postgres: LocalStack) -> AsyncIterator[Tenant]:
    """At an API as it is in service: how soon it gives up a database that is silent is its own."""
    settings = settings_for(postgres.environment()["DIORAMA_DATABASE_URL"], "127.0.0.1:9")
    async with running_api(settings, MemoryStorage(), patience=IMPATIENT) as running, new_tenant(running) as tenant:
        yield tenant


async def everything(tenant: Tenant, generation_id: str) -> list[httpx.Response]:
    """One request of each kind, at once, three times over: more than the pool has connections."""
    get, post = tenant.client.get, tenant.client.post
    async with asyncio.timeout(HANGS_S):
        return await asyncio.gather(
            *(get(f"/v1/generations/{generation_id}") for _ in range(10)),
            *(get("/v1/generations") for _ in range(10)),
            *(get(f"/v1/generations/{generation_id}/events") for _ in range(3)),
            *(get(f"/v1/assets/{generation_id}/content") for _ in range(3)),
            *(post(f"/v1/generations/{generation_id}/cancel") for _ in range(3)),
            *(post("/v1/generations", json=AVATAR) for _ in range(10)),
        )


def assert_told_to_come_again(answers: list[httpx.Response]) -> None:
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["code"] for answer in answers} == {"database_unavailable"}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)


async def test_while_the_database_is_down_every_answer_is_503_and_the_first_after_it_is_right(
    postgres: LocalStack, guest: Tenant
) -> None:
    accepted = await guest.accept(AVATAR)
    for _ in range(3):
        await postgres.kill("postgres")
        assert_told_to_come_again(await everything(guest, accepted["id"]))
        assert (await guest.client.get("/healthz")).status_code == 200
        assert (await guest.client.get("/readyz")).json()["database"] is False
        await postgres.start_service("postgres")
        assert (await guest.client.get(f"/v1/generations/{accepted['id']}")).status_code == 200


async def test_while_the_database_is_silent_every_answer_is_503_and_none_hangs(
    postgres: LocalStack, impatient_guest: Tenant
) -> None:
    guest = impatient_guest
    accepted = await eventually(lambda: accepted_by(guest))
    postgres.pause("postgres")
    try:
        first = await everything(guest, accepted["id"])
        second = await everything(guest, accepted["id"])
    finally:
        postgres.resume("postgres")

    async def is_answered() -> bool:
        return (await guest.client.get(accepted["links"]["self"])).status_code == 200

    assert_told_to_come_again(first + second)
    assert await eventually(is_answered)


async def accepted_by(tenant: Tenant) -> dict[str, Any] | None:
    """The answer to an accepted request; none while the database is slow."""
    answer = await tenant.client.post("/v1/generations", json=AVATAR)
    return answer.json() if answer.status_code == 202 else None


async def test_a_request_that_was_accepted_is_not_answered_503_because_its_end_cannot_be_read(
    postgres: LocalStack, guest: Tenant
) -> None:
    waits = {"Prefer": "wait=3"}
    asked = asyncio.create_task(guest.client.post("/v1/generations", json=AVATAR, headers=waits))
    (accepted,) = await eventually(guest.generations)
    await postgres.kill("postgres")
    answer = await asked
    await postgres.start_service("postgres")

    assert (answer.status_code, answer.json()["id"]) == (202, accepted["id"])


async def test_a_follower_misses_nothing_when_the_database_restarts(postgres: LocalStack, guest: Tenant) -> None:
    accepted = await guest.accept(AVATAR)
    seen: list[dict[str, Any]] = []
    async with stream(guest, accepted["id"]) as frames:
        async for frame in frames:
            seen.append(frame)
            number = len(seen)
            if number == 4:
                await guest.finish(accepted["id"], "succeeded")
            elif number < 4:
                await postgres.kill("postgres")
                await postgres.start_service("postgres")
                await guest.tell(accepted["id"], "generation.progress", number=number)

    assert [frame["id"] for frame in seen] == ["1", "2", "3", "4", "5"]
    assert seen[-1]["event"] == "generation.succeeded"
