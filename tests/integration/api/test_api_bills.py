"""Bills over HTTP: an operator lays a provider's export beside the ledger."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.api.running_api import AVATAR, RunningApi, Tenant, new_tenant
from tests.integration.api.test_api_usage import bought

BILLS = "/v1/operations/bills"


@pytest.fixture
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api, operator=True) as operator:
        yield operator


async def a_job(tenant: Tenant, usd: str, **more: Any) -> str:
    """A purchase that was paid; its job's id."""
    accepted = await tenant.accept(AVATAR)
    await bought(tenant, accepted["id"], usd, **more)
    job_id = f"job-{uuid4()}"
    await tenant.api.ask(
        "update spend set provider_job_id = :job where generation_id = cast(:id as uuid)", job=job_id, id=accepted["id"]
    )
    return job_id


async def compare(who: Tenant, bill: str, **query: Any) -> dict[str, Any]:
    answer = await who.client.post(
        BILLS, params={"provider": "replicate"} | query, content=bill, headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_jobs_are_matched_and_differences_are_told(operator: Tenant, tenant: Tenant) -> None:
    same, dearer = await a_job(tenant, "0.04"), await a_job(tenant, "0.04")
    bill = f"id,cost,model\n{same},0.04,a\n{dearer},0.09,a\nnobody-knows,0.50,a\n"

    # Of a day that nothing was bought on, so that only the named jobs count.
    report = await compare(operator, bill, **{"from": "2024-01-01", "to": "2024-01-01"})

    assert (report["lines"], report["matched"]) == (3, 2)
    assert [(item["verdict"], item["job_id"], item["difference_usd"]) for item in report["items"]] == [
        ("only_theirs", "nobody-knows", "0.50"),
        ("amount_differs", dearer, "0.050000"),
    ]
    assert report["items"][1]["tenant_id"] == str(tenant.id)


async def test_what_is_only_in_the_ledger_is_found_in_the_bills_period(operator: Tenant, tenant: Tenant) -> None:
    missing = await a_job(tenant, "0.33", provider="getimg")
    today = (await operator.api.ask("select cast(cast(now() at time zone 'utc' as date) as text)"))[0][0]

    report = await compare(operator, "id,cost\nother,1\n", provider="getimg", **{"from": today, "to": today})

    assert ("only_ours", missing) in {(item["verdict"], item["job_id"]) for item in report["items"]}


async def tokens(tenant: Tenant, *sent: datetime) -> list[str]:
    """The tokens of purchases of OpenAI's, whose jobs we know by nothing else, that were sent at these times."""
    found = []
    for at in sent:
        accepted = await tenant.accept(AVATAR)
        await bought(tenant, accepted["id"], "0.04", provider="openai")
        rows = await tenant.api.ask(
            "update spend set sent_at = :at where generation_id = cast(:id as uuid) returning token",
            at=at,
            id=accepted["id"],
        )
        found.append(str(rows[0][0]))
    return found


async def test_all_purchases_are_found_by_their_tokens_although_the_provider_takes_them_after_we_send(
    operator: Tenant, tenant: Tenant
) -> None:
    begin = (await operator.api.ask("select now()"))[0][0]
    sent = [begin, begin + timedelta(seconds=5)]
    named = zip(sent, await tokens(tenant, *sent), strict=True)
    lines = [f"req-{uuid4()},{token},{at + timedelta(seconds=2)},0.04" for at, token in named]

    report = await compare(operator, "\n".join(["id,user,created_at,cost", *lines]), provider="openai")

    assert (report["matched"], report["items"]) == (2, [])


async def test_a_bill_of_days_has_the_whole_of_its_last_one(operator: Tenant, tenant: Tenant) -> None:
    today = (await operator.api.ask("select cast(now() at time zone 'utc' as date)"))[0][0]
    noon = datetime.fromisoformat(f"{today}T12:00:00Z")
    named, missing = await tokens(tenant, noon, noon + timedelta(hours=1))

    report = await compare(operator, f"id,user,date,cost\nreq-{uuid4()},{named},{today},0.04\n", provider="openai")

    assert (report["matched"], report["counts"]["only_theirs"]) == (1, 0)
    rows = await operator.api.ask("select cast(id as text) from spend where token = :token", token=missing)
    assert rows[0][0] in {item["spend_id"] for item in report["items"] if item["verdict"] == "only_ours"}


async def test_columns_can_be_named_and_the_answer_can_be_a_file(operator: Tenant) -> None:
    answer = await operator.client.post(
        BILLS,
        params={
            "provider": "replicate",
            "columns": "id=Prediction,cost=Price (USD)",
            "from": "2024-01-01",
            "to": "2024-01-01",
        },
        content='Prediction,Price (USD)\n"=2+3",0.50\n',
        headers={"Content-Type": "text/csv", "Accept": "text/csv"},
    )

    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (row["verdict"], row["job_id"], row["theirs_usd"], row["ours_usd"]) == ("only_theirs", "'=2+3", "0.50", "")


async def test_a_comparison_is_audited(operator: Tenant) -> None:
    await compare(operator, "id,cost\nother,1\n", **{"from": "2024-01-01", "to": "2024-01-01"})

    entries = (await operator.client.get("/v1/audit", params={"action": "bill.compared"})).json()["items"]

    assert (entries[0]["subject_id"], entries[0]["facts"]["lines"], entries[0]["facts"]["counts"]["only_theirs"]) == (
        "replicate",
        1,
        1,
    )


async def test_it_is_for_operators(tenant: Tenant) -> None:
    answer = await tenant.client.post(
        BILLS, params={"provider": "replicate"}, content="id,cost\n", headers={"Content-Type": "text/csv"}
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "not_an_operator")


@pytest.mark.parametrize(
    ("query", "bill", "kind", "status"),
    [
        ({"provider": "nobody"}, "id,cost\np,1\n", "text/csv", 404),
        ({}, "id,cost\np,1\n", "application/json", 415),
        ({}, "id,cost\np,1\n", "text/csv", 422),  # nobody says of which days
        ({}, "colour\nred\n", "text/csv", 422),
        ({"from": "2026-02-02", "to": "2026-02-01"}, "id,cost\np,1\n", "text/csv", 422),
        ({"columns": "colour=red"}, "id,cost\np,1\n", "text/csv", 422),
        ({"columns": "id"}, "id,cost\np,1\n", "text/csv", 422),
    ],
)
async def test_what_is_no_bill_is_refused(
    operator: Tenant, query: dict[str, str], bill: str, kind: str, status: int
) -> None:
    answer = await operator.client.post(
        BILLS, params={"provider": "replicate"} | query, content=bill, headers={"Content-Type": kind}
    )

    assert answer.status_code == status, answer.text
