"""Webhooks of providers: believed by nobody, but they wake the worker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import make_url
from standardwebhooks import Webhook

from contracts.names import CHANNEL_WAKE
from contracts.statuses import Step
from db.columns import now
from db.models import Spend
from sandbox.wavespeed.webhooks import signature
from tests.integration.api.running_api import AVATAR, WEBHOOK_SECRET, RunningApi, Tenant
from tests.integration.patience import HTTP_S

BODY = json.dumps({"id": "job-1", "status": "succeeded"}).encode()


async def purchase(tenant: Tenant, provider: str = "replicate") -> tuple[str, str]:
    """(generation id, token) of a generation with one purchase."""
    accepted = await tenant.accept(AVATAR)
    token = accepted["id"].replace("-", "")
    spend = Spend(
        tenant_id=tenant.id,
        generation_id=UUID(accepted["id"]),
        step=Step.avatar,
        purchase=0,
        provider=provider,
        model="openai/gpt-image-2.5-flare",
        token=token,
        prompt="a captain",
        prompt_name="avatar",
        prompt_version="1",
        prompt_hash="0" * 64,
        hold_usd=Decimal("0.05"),
        lease_until=now(),
        deadline_at=now(),
    )
    async with tenant.api.database.transaction() as session:
        session.add(spend)
    return accepted["id"], token


def signed(
    body: bytes = BODY, *, at: datetime | None = None, secret: str = WEBHOOK_SECRET, message: str = "msg-1"
) -> dict[str, str]:
    moment = at or datetime.now(UTC)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, moment, body.decode()),
    }


async def send(
    api: RunningApi, token: str, headers: dict[str, str], body: bytes = BODY, sender: str = "replicate"
) -> httpx.Response:
    async with httpx.AsyncClient(base_url=api.url, timeout=HTTP_S) as provider:
        return await provider.post(f"/v1/webhooks/{sender}/{token}", content=body, headers=headers)


@asynccontextmanager
async def hearing(database_url: str) -> AsyncIterator[asyncio.Queue[str]]:
    """Everything that is said on the channel that wakes workers."""
    woken: asyncio.Queue[str] = asyncio.Queue()
    dsn = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    listening = await asyncpg.connect(dsn)
    try:
        await listening.add_listener(CHANNEL_WAKE, lambda *heard: woken.put_nowait(str(heard[-1])))
        yield woken
    finally:
        await listening.close()


async def test_a_signed_webhook_wakes_its_generation_once_however_often_it_comes(
    tenant: Tenant, api: RunningApi, api_database_url: str
) -> None:
    generation_id, token = await purchase(tenant)
    last_id, last_token = await purchase(tenant)

    async with hearing(api_database_url) as woken:
        headers = signed(message=f"msg-{token}")
        answers = await asyncio.gather(*(send(api, token, headers) for _ in range(20)))
        answers.append(await send(api, last_token, signed(message=f"msg-{last_token}")))
        heard = [await woken.get()]
        while heard[-1] != last_id:  # notifications come in the order of their commits
            heard.append(await woken.get())

    notices = await api.ask("select job_id from notice where token = :token", token=token)
    assert {answer.status_code for answer in answers} == {204}
    assert heard == [generation_id, last_id]
    assert [row.job_id for row in notices] == ["job-1"]
    assert (await tenant.generations())[0]["status"] == "queued"


async def test_another_webhook_about_the_same_job_wakes_again(
    tenant: Tenant, api: RunningApi, api_database_url: str
) -> None:
    generation_id, token = await purchase(tenant)

    async with hearing(api_database_url) as woken:
        for number in range(2):
            await send(api, token, signed(message=f"msg-{token}-{number}"))
        heard = [await woken.get(), await woken.get()]

    assert heard == [generation_id, generation_id]


def forged() -> dict[str, dict[str, str]]:
    """Made when a test runs, which may be long after it was collected: a signature is good for some minutes only."""
    late, early = datetime.now(UTC) - timedelta(minutes=6), datetime.now(UTC) + timedelta(minutes=12)
    return {
        "no signature": {},
        "another secret": signed(secret="whsec_YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlcg=="),
        "another body": signed(b"{}"),
        "too old": signed(at=late),
        "from the future": signed(at=early),
        "a signature of no form": signed() | {"webhook-signature": "v1"},
        "a signature that is not base64": signed() | {"webhook-signature": "v1,x"},
        "a time of no form": signed() | {"webhook-timestamp": "yesterday"},
        "not a time": signed() | {"webhook-timestamp": "nan"},
    }


@pytest.mark.parametrize("how", forged())
async def test_a_forged_webhook_is_refused(tenant: Tenant, api: RunningApi, how: str) -> None:
    _, token = await purchase(tenant)

    answer = await send(api, token, forged()[how])

    assert (answer.status_code, answer.json()["code"]) == (401, "webhook_rejected")


async def test_wavespeeds_own_signature_is_believed_at_its_own_address_only(tenant: Tenant, api: RunningApi) -> None:
    _, token = await purchase(tenant, "wavespeed")
    moment = int(datetime.now(UTC).timestamp())
    message = f"msg-{token}"
    own = {
        "webhook-id": message,
        "webhook-timestamp": str(moment),
        "webhook-signature": signature(WEBHOOK_SECRET, message, moment, BODY),
    }

    believed = await send(api, token, own, sender="wavespeed")
    elsewhere = await send(api, token, own, sender="replicate")
    standard = await send(api, token, signed(), sender="wavespeed")
    nobody = await send(api, token, own, sender="openai")

    answers = [believed, elsewhere, standard, nobody]
    notices = await api.ask("select provider, job_id from notice where token = :token", token=token)
    assert [answer.status_code for answer in answers] == [204, 401, 401, 404]
    assert [(row.provider, row.job_id) for row in notices] == [("wavespeed", "job-1")]


async def test_bytes_that_are_no_text_are_refused(tenant: Tenant, api: RunningApi) -> None:
    _, token = await purchase(tenant)

    answer = await send(api, token, signed(), body=b"\xff\xfe\x00")

    assert answer.status_code == 401


async def test_an_unknown_token_is_not_found(api: RunningApi) -> None:
    answer = await send(api, "nobodys-token", signed())

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_webhook_of_endless_length_is_refused(api: RunningApi) -> None:
    answer = await send(api, "token", signed(), body=b" " * 1_000_001)

    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")
