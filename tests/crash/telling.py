"""Scenarios of tenants that want to be told by webhooks, and of operators who decide."""

import asyncio
from http import HTTPStatus

from contracts.statuses import Status
from tests.crash.asked import Json
from tests.crash.customer import Customer
from tests.crash.requests import Request
from tests.crash.webhook_listener import BROKEN

ENDPOINTS = "/v1/webhook-endpoints"
OWN_KEY = "/v1/tenants/me/credentials/replicate"
IDLE_LANE = "/v1/operations/lanes/openai/gpt-image-1"


async def managing_an_endpoint(customer: Customer, _request: Request, name: str) -> None:
    """Make an endpoint, change it, give it another secret, and remove it."""
    made = await _endpoint(customer, name, f"quiet/{name}", "generation.canceled")
    if made is None:
        return
    path = f"{ENDPOINTS}/{made['id']}"
    await customer.send("PATCH", path, {"description": "changed"})
    await customer.send("POST", f"{path}/rotate-secret", {"replaces_version": made["secret_version"]})
    await customer.send("DELETE", path)


async def closing_an_endpoint(customer: Customer, request: Request, name: str) -> None:
    """Remove an endpoint that refuses everything while something is still to be delivered there."""
    made = await _endpoint(customer, name, f"{BROKEN}/{name}", "generation.succeeded")
    asked = customer.intend(request(name))
    await customer.ask(asked)
    await customer.watch(asked)
    if made is not None:
        await asyncio.sleep(1.0)
        await customer.send("DELETE", f"{ENDPOINTS}/{made['id']}")


async def having_it_told_again(customer: Customer, request: Request, name: str) -> None:
    """Have a delivery made once more."""
    asked = customer.intend(request(name))
    await customer.ask(asked)
    await customer.watch(asked)
    path = f"{ENDPOINTS}/{customer.doors.endpoint_id}/deliveries?state=delivered&limit=1"
    for delivery in (await customer.send("GET", path))[1].get("items", []):
        await customer.send("POST", f"/v1/webhook-deliveries/{delivery['id']}/replay")


async def having_it_reviewed(customer: Customer, request: Request, name: str) -> None:
    """Wait for the operator, who has a purchase of unknown outcome made once more."""
    asked = customer.intend(request(name))
    await customer.ask(asked)
    await customer.watch(asked)
    seen = (await customer.send("GET", f"/v1/generations/{asked.generation_id}"))[1]
    if seen.get("status") != Status.needs_review:
        return
    for waiting in await _reviews(customer, str(asked.generation_id)):
        decision = {"action": "resubmit", "note": f"decided for {name}"}
        await customer.send("POST", f"/v1/operations/reviews/{waiting['spend_id']}", decision, as_operator=True)
    await customer.watch(asked)


async def switching_a_lane(customer: Customer, _request: Request, name: str) -> None:
    """An operator drains, limits and resumes a model that was shut down, so that it keeps nobody waiting."""
    note = {"note": f"decided for {name}"}
    await customer.send("POST", f"{IDLE_LANE}/drain", note, as_operator=True)
    for per_minute in (60, None):
        limit = {"creates_per_minute": per_minute}
        await customer.send("PUT", f"{IDLE_LANE}/limit", note | limit, as_operator=True)
    await customer.send("POST", f"{IDLE_LANE}/resume", note, as_operator=True)


async def exporting_the_log(customer: Customer, _request: Request, _name: str) -> None:
    """An operator exports what was decided."""
    await customer.fetch_as_operator("/v1/audit/export")


async def bringing_a_key(customer: Customer, _request: Request, _name: str) -> None:
    """A tenant that asks for nothing brings a provider key of its own, and takes it away."""
    await customer.send("PUT", OWN_KEY, {"key": "r8_a_key_of_the_lab"}, as_operator=True)
    await customer.send("DELETE", OWN_KEY, as_operator=True)


async def _reviews(customer: Customer, generation_id: str) -> list[Json]:
    _, page = await customer.send("GET", "/v1/operations/reviews?limit=100", as_operator=True)
    return [item for item in page.get("items", []) if item["generation_id"] == generation_id]


async def _endpoint(customer: Customer, name: str, path: str, event: str) -> Json | None:
    """None: the tenant has as many as it may have."""
    wish = {"url": customer.doors.listener.url(path), "description": "", "events": [event]}
    status, made = await customer.send("POST", ENDPOINTS, wish, key=f"endpoint-{name}")
    return made if status == HTTPStatus.CREATED else None
