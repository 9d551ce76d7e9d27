"""Scenarios of tenants who look after their keys and their money, and of operators who look after tenants and bills."""

from decimal import Decimal
from http import HTTPStatus

from tests.crash.asked import Json
from tests.crash.customer import Customer
from tests.crash.requests import Request

KEYS, BUDGETS, TENANTS = "/v1/keys", "/v1/budgets", "/v1/tenants"
BILL = b"id,cost_usd,created_at\r\nnever-bought,0.01,2026-11-21T00:00:00Z\r\n"
WATCHED = {"of": "tenant", "period": "month", "hard": False}
# Less than any request of the lab's promises.
ROOM_USD = Decimal("0.01")


async def managing_a_key(customer: Customer, _request: Request, name: str) -> None:
    """Make a key, replace it, and refuse it; and so with what an answer that was lost has left: there is room for a hundred."""
    await customer.send("POST", KEYS, {"name": name, "scopes": ["read"]})
    for key in await _keys(customer, name):
        await customer.send("POST", f"{KEYS}/{key['id']}/rotate", {"grace_s": 0})
    for key in await _keys(customer, name):
        await customer.send("DELETE", f"{KEYS}/{key['id']}")


async def managing_a_tenant(customer: Customer, _request: Request, name: str) -> None:
    """An operator makes a tenant that asks for nothing, changes, suspends and resumes it."""
    status, made = await customer.send("POST", TENANTS, {"name": name}, as_operator=True)
    if status != HTTPStatus.CREATED:  # it was made, and the answer was lost
        return
    path, note = f"{TENANTS}/{made['id']}", {"note": f"decided for {name}"}
    await customer.send("PATCH", path, {"tier": "free"}, as_operator=True)
    for decision in ("suspend", "resume"):
        await customer.send("POST", f"{path}/{decision}", note, as_operator=True)


async def watching_a_budget(customer: Customer, request: Request, name: str) -> None:
    """Set a budget that the next picture fills, have one made, and remove it: a soft one tells, and refuses nobody."""
    _, page = await customer.send("GET", BUDGETS)
    # The lab's own, which counts the same money, and which no other play takes away.
    seen = next(budget for budget in page["items"] if budget["hard"] and budget["period"] == WATCHED["period"])
    used = Decimal(seen["held_usd"]) + Decimal(seen["spent_usd"])
    # Shares that are reached when a budget is set are not told of.
    _, made = await customer.send("POST", BUDGETS, WATCHED | {"limit_usd": str(used + ROOM_USD), "note": name})
    await _asked(customer, request(name))
    await customer.send("DELETE", f"{BUDGETS}/{made['id']}")  # or another play's has taken its place


async def asking_with_a_quote(customer: Customer, request: Request, name: str) -> None:
    """Ask for a price, then for the picture at that price."""
    _, quote = await customer.send("POST", "/v1/quotes", request(name))
    await _asked(customer, request(name) | {"quote_id": quote["id"]})


async def comparing_a_bill(customer: Customer, _request: Request, _name: str) -> None:
    """An operator holds a bill of one line against the ledger."""
    await customer.post_as_operator("/v1/operations/bills?provider=replicate", BILL, "text/csv")


async def _keys(customer: Customer, name: str) -> list[Json]:
    _, page = await customer.send("GET", KEYS)
    return [key for key in page["items"] if key["name"] == name]


async def _asked(customer: Customer, body: Json) -> None:
    asked = customer.intend(body)
    await customer.ask(asked)
    await customer.watch(asked)
