"""Webhooks in a provider's name: unsigned, signed by another, late, or about somebody else's purchase."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from sandbox.wavespeed.webhooks import signature
from tests.integration.api.running_api import WEBHOOK_SECRET, RunningApi
from tests.integration.isolation.belongings import Belongings
from tests.integration.isolation.sending import plain
from tests.integration.isolation.snapshots import snapshot
from tests.integration.patience import HTTP_S

ANOTHER_SECRET = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCwgbm90IG91cnM="
BODY = json.dumps({"id": "a-job-of-the-attackers", "status": "succeeded"}).encode()


@pytest.fixture
async def anybody(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, timeout=HTTP_S) as client:
        yield client


def signed(*, secret: str = WEBHOOK_SECRET, age_s: int = 0, body: bytes = BODY) -> dict[str, str]:
    moment, message = datetime.now(UTC) - timedelta(seconds=age_s), f"msg-{uuid4().hex}"
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, moment, body.decode()),
    }


FORGERIES: Final[dict[str, Callable[[], dict[str, str]]]] = {
    "unsigned": dict,
    "signed with another secret": lambda: signed(secret=ANOTHER_SECRET),
    "signed for another body": lambda: signed(body=b"{}"),
    "from an hour ago": lambda: signed(age_s=3600),
    "from an hour ahead": lambda: signed(age_s=-3600),
    "with another id": lambda: signed() | {"webhook-id": "msg-other"},
    "with another time": lambda: signed() | {"webhook-timestamp": str(int(datetime.now(UTC).timestamp()) - 7)},
    "with a signature of nothing": lambda: signed() | {"webhook-signature": "v1,"},
    "signed as another provider does": lambda: (
        signed() | {"webhook-signature": signature(WEBHOOK_SECRET, "msg", 1, BODY)}
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES, ids=str)
@pytest.mark.parametrize("provider", ["replicate", "wavespeed", "openai"])
async def test_a_forged_webhook_is_refused_alike_for_every_token_and_changes_nothing(
    anybody: httpx.AsyncClient, victim: Belongings, forgery: str, provider: str
) -> None:
    before = await snapshot(victim.tenant)
    tokens = [*victim.things["token"], uuid4().hex]

    answers = []
    for token in tokens:
        answer = await anybody.post(f"/v1/webhooks/{provider}/{token}", content=BODY, headers=FORGERIES[forgery]())
        answers.append((answer.status_code, plain(answer.text, token)))

    assert len(set(answers)) == 1
    assert answers[0][0] == (404 if provider == "openai" else 401)
    assert before.changes(await snapshot(victim.tenant)) == {}


async def test_a_webhook_of_a_providers_own_leads_nobody_to_another_job(
    anybody: httpx.AsyncClient, victim: Belongings
) -> None:
    """The signature does not cover the address: what was sent about one purchase can be sent to another's address by whoever
    saw it. Then it is a reason to ask the provider, and nothing else: no purchase, no picture and no money changes.
    """
    before = await snapshot(victim.tenant)
    unknown, settled = victim.things["token"]

    answers = [
        await anybody.post(f"/v1/webhooks/replicate/{token}", content=BODY, headers=signed())
        for token in (unknown, settled, uuid4().hex)
    ]

    assert [answer.status_code for answer in answers] == [204, 204, 404]
    assert set(before.changes(await snapshot(victim.tenant))) == {"notice"}


async def test_the_token_of_one_provider_is_nobodys_at_another(anybody: httpx.AsyncClient, victim: Belongings) -> None:
    before = await snapshot(victim.tenant)
    message, moment = f"msg-{uuid4().hex}", int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(moment),
        "webhook-signature": signature(WEBHOOK_SECRET, message, moment, BODY),
    }

    answers = [
        await anybody.post(f"/v1/webhooks/wavespeed/{token}", content=BODY, headers=headers)
        for token in (victim.things["token"][0], uuid4().hex)
    ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert before.changes(await snapshot(victim.tenant)) == {}
