"""Provider keys of a tenant's own over HTTP: set, hinted at, removed, and never shown."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from temporalio.testing import WorkflowEnvironment

from contracts.key_ring import KeyRing
from db import credentials
from db.audit import COMMAND
from db.credential_safe import CredentialSafe
from storage.memory import MemoryStorage
from tests.integration.api.running_api import RunningApi, Tenant, new_tenant, running_api, settings_for

KEYS = {name: base64.b64encode(bytes([number]) * 32).decode() for number, name in enumerate(("old", "new", "lost"))}
KEY = "r8_0123456789abcdefghijx7Qd"
MINE = "/v1/tenants/me/credentials"


def safe(*names: str) -> CredentialSafe:
    return CredentialSafe(KeyRing.parse(",".join(f"{name}:{KEYS[name]}" for name in names), setting="X"))


@pytest.fixture(scope="session")
async def offering(api_database_url: str, engine: WorkflowEnvironment) -> AsyncIterator[RunningApi]:
    """An API that takes tenants' keys."""
    address = engine.client.service_client.config.target_host
    settings = settings_for(api_database_url, address, credential_keys=SecretStr(f"old:{KEYS['old']}"))
    async with running_api(settings, MemoryStorage()) as running:
        yield running


@pytest.fixture
async def owner(offering: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(offering) as tenant:
        yield tenant


async def test_a_key_is_kept_sealed_and_shown_by_its_end_only(owner: Tenant) -> None:
    answer = await owner.client.put(f"{MINE}/replicate", json={"key": KEY})
    read = await owner.client.get(f"{MINE}/replicate")
    listed = await owner.client.get(MINE)

    assert answer.status_code == 200, answer.text
    assert answer.json() == read.json() == listed.json()["items"][0]
    assert (read.json()["provider"], read.json()["hint"]) == ("replicate", "x7Qd")
    assert all(KEY not in one.text for one in (answer, read, listed))
    (row,) = await owner.api.ask("select * from provider_credential where tenant_id = :id", id=owner.id)
    assert KEY.encode() not in bytes(row.sealed)
    async with owner.api.database.transaction() as session:
        stored = await credentials.of_tenant(session, owner.id, "replicate")
    assert stored is not None
    assert safe("old").opened(owner.id, "replicate", credentials.sealed_of(stored)) == KEY


async def test_setting_and_removing_are_on_record_without_the_key(owner: Tenant) -> None:
    for _ in range(2):
        await owner.client.put(f"{MINE}/replicate", json={"key": KEY})
    removed = await owner.client.delete(f"{MINE}/replicate")
    again = await owner.client.delete(f"{MINE}/replicate")

    assert (removed.status_code, again.status_code) == (204, 404)
    assert (await owner.client.get(f"{MINE}/replicate")).status_code == 404
    rows = await owner.api.ask(
        "select action, audit::text as whole from audit where tenant_id = :id order by id", id=owner.id
    )
    assert [row.action for row in rows] == ["credential.set", "credential.set", "credential.removed"]
    assert not any(KEY in row.whole for row in rows)


async def test_keys_are_sealed_anew_by_the_first_key_of_the_settings(owner: Tenant) -> None:
    await owner.client.put(f"{MINE}/replicate", json={"key": KEY})

    async with owner.api.database.transaction() as session:
        assert (await credentials.reseal(session, COMMAND, safe("new", "old"))).count >= 1
        assert (await credentials.reseal(session, COMMAND, safe("new", "old"))).count == 0
        row = await credentials.of_tenant(session, owner.id, "replicate")
        assert row is not None
        assert safe("new").opened(owner.id, "replicate", credentials.sealed_of(row)) == KEY
        await session.rollback()  # the API of these tests has the old key alone


async def test_a_key_that_cannot_be_read_is_named_and_keeps_no_other_from_being_sealed_anew(owner: Tenant) -> None:
    await owner.client.put(f"{MINE}/replicate", json={"key": KEY})

    async with owner.api.database.transaction() as session:
        await credentials.put(session, COMMAND, safe("lost"), tenant_id=owner.id, provider="openai", key=KEY)
        done = await credentials.reseal(session, COMMAND, safe("new", "old"))
        row = await credentials.of_tenant(session, owner.id, "replicate")
        assert row is not None
        assert row.sealed_by == "new"
        left = [(one.tenant_id, one.provider, one.sealed_by) for one in done.unreadable]
        assert left == [(owner.id, "openai", "lost")]
        await session.rollback()


async def test_a_key_that_its_name_no_longer_opens_is_named_too(owner: Tenant) -> None:
    other_bytes = CredentialSafe(KeyRing.parse(f"new:{KEYS['lost']}", setting="X"))

    async with owner.api.database.transaction() as session:
        await credentials.put(session, COMMAND, safe("new"), tenant_id=owner.id, provider="openai", key=KEY)
        done = await credentials.reseal(session, COMMAND, other_bytes)
        assert (owner.id, "openai") in [(one.tenant_id, one.provider) for one in done.unreadable]
        await session.rollback()


async def test_many_who_set_the_first_key_at_once_all_set_it(owner: Tenant) -> None:
    answers = await asyncio.gather(
        *(owner.client.put(f"{MINE}/replicate", json={"key": f"{KEY}{number}"}) for number in range(5))
    )

    assert [answer.status_code for answer in answers] == [200] * 5
    (kept,) = (await owner.client.get(MINE)).json()["items"]
    assert kept in [answer.json() for answer in answers]
    set_ = await owner.api.ask("select 1 from audit where tenant_id = :id and action = 'credential.set'", id=owner.id)
    assert len(set_) == 5


@pytest.mark.parametrize("body", [{}, {"key": "short"}, {"key": "with a space in it"}, {"key": "ä" * 20}, {"key": 7}])
async def test_what_is_no_key_is_refused_and_not_repeated(owner: Tenant, body: dict[str, object]) -> None:
    answer = await owner.client.put(f"{MINE}/replicate", json=body)

    assert answer.status_code == 422
    assert not any(isinstance(value, str) and value in answer.text for value in body.values())


async def test_a_provider_that_the_service_does_not_use_takes_no_keys(owner: Tenant) -> None:
    assert (await owner.client.put(f"{MINE}/nobody", json={"key": KEY})).status_code == 404


async def test_a_service_without_keys_to_encrypt_by_takes_none(tenant: Tenant) -> None:
    answer = await tenant.client.put(f"{MINE}/replicate", json={"key": KEY})

    assert (answer.status_code, answer.json()["code"]) == (409, "own_keys_not_offered")


async def test_another_tenants_key_is_not_there(owner: Tenant, offering: RunningApi) -> None:
    await owner.client.put(f"{MINE}/replicate", json={"key": KEY})
    async with new_tenant(offering) as stranger:
        seen = await stranger.client.get(f"{MINE}/replicate")
        removed = await stranger.client.delete(f"{MINE}/replicate")

    assert (seen.status_code, removed.status_code) == (404, 404)
    assert (await owner.client.get(f"{MINE}/replicate")).status_code == 200
