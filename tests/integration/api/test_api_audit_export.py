"""The audit log as a file: for operators, whole, and the same again."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.exc import DBAPIError

from contracts.audit_chain import checked
from db.columns import now
from tests.integration.api.running_api import RunningApi, Tenant, new_tenant

EXPORT = "/v1/audit/export"


@pytest.fixture
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api, operator=True) as operator:
        yield operator


async def test_the_same_time_exported_again_has_the_same_hash(operator: Tenant) -> None:
    for name in ("one", "two"):
        assert (await operator.client.post("/v1/keys", json={"name": name})).status_code == 201
    until = {"created_before": now().isoformat()}

    first = await operator.client.get(EXPORT, params=until)
    again = await operator.client.get(EXPORT, params=until)

    assert first.status_code == 200, first.text
    assert first.headers["content-type"] == "application/x-ndjson"
    assert first.text == again.text
    whole = checked(first.text.splitlines())
    (now_on_record,) = await operator.api.ask("select count(*) as many from audit")
    assert 2 <= whole.entries < now_on_record.many, "the exports themselves are on record, and later"


async def test_a_time_that_ends_before_it_begins_is_refused_and_not_on_record(operator: Tenant) -> None:
    backwards = {"created_after": "2026-12-01T00:00:00Z", "created_before": "2026-11-01T00:00:00Z"}
    answer = await operator.client.get(EXPORT, params=backwards)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    asked = "select 1 from audit where tenant_id = :id and action = 'audit.exported'"
    assert await operator.api.ask(asked, id=operator.id) == []


async def test_a_time_of_its_own_begins_a_chain_of_its_own(operator: Tenant) -> None:
    begin = now()
    await operator.client.post("/v1/keys", json={"name": "three"})

    answer = await operator.client.get(EXPORT, params={"created_after": begin.isoformat()})

    lines = answer.text.splitlines()
    assert checked(lines).entries == len(lines) - 1
    assert all(f'"created_at": "{begin:%Y-%m-%d}' in line for line in lines[:-1])


async def test_only_operators_export(tenant: Tenant) -> None:
    assert (await tenant.client.get(EXPORT)).status_code == 403


@pytest.mark.parametrize("change", ["update audit set note = 'x'", "delete from audit", "truncate audit"])
async def test_the_log_itself_cannot_be_changed(operator: Tenant, change: str) -> None:
    await operator.client.post("/v1/keys", json={"name": "four"})

    with pytest.raises(DBAPIError, match="only ever added to"):
        await operator.api.ask(change)
