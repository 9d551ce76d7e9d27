"""What a tenant can have, one of each: made through the API where it can be, and as rows where the worker makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from api import cursors
from contracts.statuses import AssetRole, AssetState, Billed, DeliveryState, SpendState, Status, Step
from db import audit, keys
from db.audit import Actor
from db.columns import now
from db.models import Asset, Spend
from db.operation_models import Finding
from db.protection_models import Erasure
from db.webhook_models import Delivery
from storage.base import NewObject, object_key
from storage.bodies import chunks_of
from tests.integration.api.running_api import Tenant, eventually, png

PICTURE = png()
# Names that every tenant uses: they must not meet.
EVERYBODYS = "everybodys"
# All amounts of a tenant that is attacked end in these digits, so that they can be seen wherever they turn up.
TRACE = "1337"
TRACED = Decimal(f"0.02{TRACE}")


@dataclass(frozen=True)
class Belongings:
    """`things`: a word for each kind of thing -> the ids of the tenant's own. `marks`: what nobody else may ever be shown."""

    tenant: Tenant
    things: Mapping[str, tuple[str, ...]]
    keys: frozenset[str]

    @property
    def marks(self) -> frozenset[str]:
        """Ids, names and keys."""
        told = {one for kind, ids in self.things.items() for one in ids if kind != "cursor"}
        return frozenset({*told, *self.keys, str(self.tenant.id)})


def request(tenant: Tenant, **more: Any) -> dict[str, Any]:
    """A request with words of this tenant's own."""
    word = _word(tenant)
    described = {"description": f"a captain called {word}"}
    return {"kind": "avatar", "avatar": described, "session_id": f"session-{word}", "user_id": f"user-{word}"} | more


def _word(tenant: Tenant) -> str:
    return tenant.id.hex


async def belongings(tenant: Tenant, *, cost: Decimal = Decimal("0.02")) -> Belongings:
    """One of each; `cost`: of each purchase (USD)."""
    order = f"order-{_word(tenant)}"
    by_key = await _accepted(tenant, request(tenant, tags=[f"tag-{_word(tenant)}"]), order)
    # As a call in OpenAI's form with the same key was accepted.
    failed = await _accepted(tenant, request(tenant), f"compatible.{sha256(order.encode()).hexdigest()}")
    queued, review, running = [await _accepted(tenant, request(tenant)) for _ in range(3)]
    shared = {"session_id": EVERYBODYS, "user_id": EVERYBODYS, "tags": [EVERYBODYS]}
    named_alike = await _accepted(tenant, request(tenant, **shared), EVERYBODYS)
    picture = await _succeeded(tenant, by_key, cost)
    await tenant.finish(failed, "failed", error={"code": "provider_unavailable", "detail": "It is away.", "facts": {}})
    unknown = await _spend(tenant, review, SpendState.unknown, cost)
    in_doubt = {"code": "outcome_unknown", "detail": "Not known.", "step": "avatar", "facts": {}}
    await tenant.finish(review, "needs_review", error=in_doubt)
    await tenant.api.ask("update generation set status = 'running', started_at = now() where id = :id", id=running)
    settled = await _spend(tenant, by_key, SpendState.settled, cost)
    made = await _by_the_api(tenant, 1000 + cost)
    delivery = await _delivery(tenant, made["endpoint"], by_key)
    erasure, finding = await _wishes_and_findings(tenant, failed)
    await eventually(lambda: _are_started(tenant))
    upload = made.pop("upload")
    generations = (failed, by_key, review, named_alike, queued, running)
    uuids = (*generations, picture, upload, *made.values(), delivery, erasure, finding)
    things = {
        "generation": generations,
        "asset": (picture, upload),
        "session": (f"session-{_word(tenant)}",),
        "user": (f"user-{_word(tenant)}",),
        "tag": (f"tag-{_word(tenant)}",),
        "idempotency key": (order,),
        "tenant": (str(tenant.id),),
        "key": (made["key"],),
        "actor": (f"key:{keys.id_of(tenant.key)}",),
        "subject": (made["key"],),
        "spend": (str(unknown.id), str(settled.id)),
        "token": (unknown.token, settled.token),
        "endpoint": (made["endpoint"],),
        "delivery": (delivery,),
        "budget": (made["budget"],),
        "quote": (made["quote"],),
        "erasure": (erasure,),
        "cursor": tuple(cursors.encode(UUID(one)) for one in uuids if len(one) == 36),
    }
    return Belongings(tenant, things, frozenset({tenant.key, made["secret"], made["credential"]}))


async def _are_started(tenant: Tenant) -> bool:
    """That the engine has them is written down a moment later, which must not look like somebody's deed."""
    waiting = "select 1 from generation where tenant_id = :id and dispatched_at is null"
    return not await tenant.api.ask(waiting, id=tenant.id)


async def _accepted(tenant: Tenant, body: dict[str, Any], key: str | None = None) -> str:
    headers = {"Idempotency-Key": key} if key else {}
    answer = await tenant.client.post("/v1/generations", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def _by_the_api(tenant: Tenant, limit: Decimal) -> dict[str, str]:
    """A key, a quote, a budget, an upload, a webhook endpoint, and a key at a provider."""
    order = {"Idempotency-Key": f"order-{_word(tenant)}"}
    budget = {"of": "tenant", "period": "month", "limit_usd": str(limit)}
    hook = {"url": "https://8.8.8.8/hook", "description": "for all ends"}
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "key": ("/v1/keys", {"json": {"name": f"key of {_word(tenant)}", "scopes": ["read", "generate", "admin"]}}),
        "quote": ("/v1/quotes", {"json": request(tenant)}),
        "budget": ("/v1/budgets", {"json": budget}),
        "upload": ("/v1/assets", {"content": PICTURE, "headers": {"Content-Type": "image/png"}}),
        "endpoint": ("/v1/webhook-endpoints", {"json": hook, "headers": order}),
    }
    made: dict[str, str] = {"credential": f"r8_{_word(tenant)}"}
    own = await tenant.client.put("/v1/tenants/me/credentials/replicate", json={"key": made["credential"]})
    assert own.status_code == 200, own.text
    for name, (path, given) in asked.items():
        answer = await tenant.client.post(path, **given)
        assert answer.status_code == 201, answer.text
        made[name] = answer.json()["id"]
        if name == "key":
            made["secret"] = answer.json()["api_key"]
    return made


async def _succeeded(tenant: Tenant, generation_id: str, cost: Decimal) -> str:
    """End a generation with a picture in the store; returns the picture's id."""
    digest = sha256(PICTURE).hexdigest()
    key = object_key(tenant.id, UUID(generation_id), "avatar", digest, "image/png")
    await tenant.api.storage.put(NewObject(key, "image/png", digest), chunks_of(PICTURE), len(PICTURE))
    described: dict[str, Any] = {"key": key, "content_type": "image/png", "size_bytes": len(PICTURE), "sha256": digest}
    described |= {"width": 64, "height": 48}
    asset = Asset(
        tenant_id=tenant.id,
        generation_id=UUID(generation_id),
        step=Step.avatar,
        state=AssetState.stored,
        role=AssetRole.picture,
        stored_at=now(),
        **described,
    )
    async with tenant.api.database.transaction() as session:
        session.add(asset)
    ref = described | {"asset_id": str(asset.id)}
    made = {"step": "avatar", "asset": ref, "provider": "replicate", "model": "a-model", "cost_usd": str(cost)}
    await tenant.finish(generation_id, Status.succeeded, result={"pictures": [made]}, cost_usd=cost)
    return str(asset.id)


async def _spend(tenant: Tenant, generation_id: str, state: SpendState, cost: Decimal) -> Spend:
    is_settled = state is SpendState.settled
    spend = Spend(
        tenant_id=tenant.id,
        generation_id=UUID(generation_id),
        step=Step.avatar,
        purchase=0,
        state=state,
        provider="replicate",
        model="openai/gpt-image-2.5-flare",
        token=uuid4().hex,
        prompt=f"a captain called {_word(tenant)}",
        prompt_name="avatar",
        prompt_version="1",
        prompt_hash="0" * 64,
        hold_usd=cost,
        likely_usd=cost,
        cost_usd=cost if is_settled else None,
        billed=Billed.yes if is_settled else Billed.unknown,
        lease_until=now(),
        deadline_at=now() + timedelta(minutes=5),
        provider_job_id=uuid4().hex if is_settled else None,
        sent_at=now(),
        ended_at=now() if is_settled else None,
    )
    async with tenant.api.database.transaction() as session:
        session.add(spend)
    return spend


async def _delivery(tenant: Tenant, endpoint_id: str, generation_id: str) -> str:
    """A delivery that failed, so that it could be sent again."""
    known = await tenant.api.ask("select id from delivery where tenant_id = :id", id=tenant.id)
    assert known == [], "the endpoint was made after all ends"
    delivery = Delivery(
        tenant_id=tenant.id,
        endpoint_id=UUID(endpoint_id),
        generation_id=UUID(generation_id),
        event_seq=1,
        event_type="generation.succeeded",
        state=DeliveryState.failed,
        attempts=10,
        dispatched_at=now(),
        ended_at=now(),
    )
    async with tenant.api.database.transaction() as session:
        session.add(delivery)
    return str(delivery.id)


async def _wishes_and_findings(tenant: Tenant, generation_id: str) -> tuple[str, str]:
    """An erasure, a line of the audit log and a finding of the reconciler."""
    erasure = Erasure(
        tenant_id=tenant.id, subject="session", subject_hash=_word(tenant) * 2, requested_by=f"key:{_word(tenant)}"
    )
    finding = Finding(kind="odd", action="found", tenant_id=tenant.id, generation_id=UUID(generation_id))
    async with tenant.api.database.transaction() as session:
        session.add_all([erasure, finding])
        await audit.record(session, Actor("command"), "tenant.changed", "tenant", str(tenant.id), tenant_id=tenant.id)
    return str(erasure.id), str(finding.id)
