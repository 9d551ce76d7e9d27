"""A provider's bill, made from what the providers' stand-in charges, beside the ledger of the whole product."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.acceptance.client import Diorama, Json, chain, only_avatar

MADE = {
    "replicate": (
        only_avatar(", on the bill", provider="replicate"),
        chain(avatar=", on the bill", provider="replicate"),
        {"kind": "image", "prompt": "a lighthouse", "count": 3, "model": "black-forest-labs/flux-schnell"},
        only_avatar(", on the bill [[sandbox fault=output_policy times=1]]", provider="replicate"),
    ),
    "openai": (
        only_avatar(", on the bill", provider="openai"),
        {"kind": "image", "prompt": "a lighthouse", "count": 2, "provider": "openai"},
    ),
}

# Nobody tells what a refused picture cost: our ledger has the catalog's price, and the bill has the prompt's tokens besides.
UNTOLD = {"replicate": ["amount_differs"], "openai": []}


async def charged(diorama: Diorama, provider: str) -> list[Json]:
    """What the provider bills for what was asked for here, as its export would have it, oldest first."""
    rows = [row for generation_id in diorama.started for row in await diorama.charges(generation_id)]
    rows = [row for row in rows if row["provider"] == provider and row["billed"]]
    return [
        {
            "Prediction ID": row["job_id"],
            "Model": row["model"],
            "Created At": datetime.fromtimestamp(row["accepted_at"], UTC).isoformat(),
            "User": row["user_id"],
            "Cost (USD)": f"{Decimal(str(row['amount_usd'])):.6f}",
        }
        for row in sorted(rows, key=lambda row: float(row["accepted_at"]))
    ]


async def compared(diorama: Diorama, provider: str, bill: Sequence[Json]) -> Json:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(bill[0]))
    writer.writeheader()
    writer.writerows(bill)
    answer = await diorama.http.post(
        "/v1/operations/bills",
        params={"provider": provider, "columns": "cost=Cost (USD)"},
        content=text.getvalue(),
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 200, answer.text
    report: Json = answer.json()
    return report


@pytest.mark.parametrize("provider", MADE)
async def test_ledger_and_bill_agree_and_what_is_planted_is_found(diorama: Diorama, provider: str) -> None:
    for body in MADE[provider]:
        await diorama.ended((await diorama.post(body))["id"])
    bill = await charged(diorama, provider)
    assert len(bill) >= 3

    clean = await compared(diorama, provider, bill)
    assert [item["verdict"] for item in clean["items"]] == UNTOLD[provider]
    assert all(item["billed"] == "unknown" for item in clean["items"])
    apart = sum((Decimal(item["difference_usd"]) for item in clean["items"]), Decimal(0))
    assert (clean["matched"], Decimal(clean["difference_usd"])) == (len(bill), apart)
    assert Decimal(clean["theirs_usd"]) == sum(Decimal(row["Cost (USD)"]) for row in bill)

    missing = bill[1]["Prediction ID"]
    dearer = bill[0] | {"Cost (USD)": f"{Decimal(bill[0]['Cost (USD)']) + Decimal('0.02'):.6f}"}
    unknown = bill[0] | {"Prediction ID": "never-bought", "User": "", "Cost (USD)": "0.5"}
    planted = await compared(diorama, provider, [dearer, *bill[2:], unknown])

    sure = [item for item in planted["items"] if item["billed"] != "unknown"]
    found = {item["verdict"]: item for item in sure}
    assert sorted(item["verdict"] for item in sure) == ["amount_differs", "only_ours", "only_theirs"]
    assert found["amount_differs"]["job_id"] == bill[0]["Prediction ID"]
    assert found["only_theirs"]["job_id"] == "never-bought"
    if provider == "replicate":
        assert found["only_ours"]["job_id"] == missing
    assert Decimal(found["only_ours"]["ours_usd"]) == Decimal(bill[1]["Cost (USD)"])
