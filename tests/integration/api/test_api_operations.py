"""What operators see of the reconciler, and who is no operator."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from api.routes import operations
from db import findings
from db.operation_models import Finding
from tests.integration.api.running_api import RunningApi, Tenant, new_tenant

FINDINGS = "/v1/operations/findings"
ROUNDS = "/v1/operations/reconciliations"


@pytest.fixture
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api, operator=True) as operator:
        yield operator


async def found(api: RunningApi, kind: str, count: int, generation_id: UUID | None = None) -> None:
    async with api.database.transaction() as session:
        for number in range(count):
            row = Finding(kind=kind, action="removed", generation_id=generation_id, facts={"number": number})
            await findings.record(session, row)


async def test_findings_are_listed_page_by_page_newest_first(api: RunningApi, operator: Tenant) -> None:
    await found(api, "paged", 5)
    numbers, path = [], f"{FINDINGS}?kind=paged&limit=2"
    while path:
        answer = await operator.client.get(path)
        assert answer.status_code == 200, answer.text
        numbers += [item["facts"]["number"] for item in answer.json()["items"]]
        following = answer.links.get("next")
        assert bool(following) == bool(answer.json()["next_cursor"])
        path = following["url"] if following else ""

    assert numbers == [4, 3, 2, 1, 0]


async def test_findings_of_one_generation_can_be_asked_for(api: RunningApi, operator: Tenant) -> None:
    one, other = UUID(int=1), UUID(int=2)
    await found(api, "of_one", 1, one)
    await found(api, "of_another", 1, other)
    answer = await operator.client.get(FINDINGS, params={"generation": str(one)})

    assert [item["kind"] for item in answer.json()["items"]] == ["of_one"]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_round_on_demand_looks_at_everything_and_says_what_it_found(operator: Tenant, dry_run: bool) -> None:
    answer = await operator.client.post(ROUNDS, json={"dry_run": dry_run})

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["dry_run"], body["counts"], body["skipped"]) == (
        dry_run,
        {"odd": 1},
        {"objects": "storage_unavailable"},
    )
    assert body["items"][0]["facts"] == {"dry_run": dry_run, "whole": True}


async def test_a_round_that_takes_too_long_goes_on_without_its_request(
    operator: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "LONGEST_WAIT_S", 0)
    answer = await operator.client.post(ROUNDS, json={})

    assert (answer.status_code, answer.json()["code"]) == (504, "reconciliation_unfinished")


async def test_without_an_engine_there_is_no_round(api_without_engine: RunningApi) -> None:
    async with new_tenant(api_without_engine, operator=True) as operator:
        answer = await operator.client.post(ROUNDS, json={"dry_run": True})
        readable = await operator.client.get(FINDINGS)

    assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
    assert "Retry-After" in answer.headers
    assert readable.status_code == 200


async def test_a_tenant_is_no_operator(tenant: Tenant) -> None:
    answers = [await tenant.client.get(FINDINGS), await tenant.client.post(ROUNDS, json={"dry_run": True})]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "not_an_operator")] * 2


@pytest.mark.parametrize("body", [{"dry": True}, {"dry_run": "perhaps"}, []])
async def test_a_round_is_asked_for_in_the_right_words(operator: Tenant, body: object) -> None:
    answer = await operator.client.post(ROUNDS, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
