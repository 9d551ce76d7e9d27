"""The sandbox's WaveSpeed on the wire: its webhooks, its answers against the OpenAPI file, its refusals."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from api.provider_webhooks import make_verifiers
from errors import WebhookRejected
from tests.integration.patience import HTTP_S
from tests.sandbox_server import SandboxServer, start_sandbox
from tests.webhook_receiver import WebhookReceiver, webhook_receiver

SPECS = Path(__file__).parents[1] / "specs"
FLUX = "wavespeed-ai/flux-schnell"
SECRET = "whsec_dGhlIHNhbmRib3ggc2lnbnMgd2l0aCB0aGlz"


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("wavespeed-wire"), webhook_secret=SECRET) as server:
        yield server


@pytest.fixture
async def api(sandbox: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    await sandbox.reset()
    base_url, headers = f"{sandbox.wavespeed_url}/api/v3", {"authorization": "Bearer wsk_x"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=HTTP_S, trust_env=False) as client:
        yield client


async def told(api: httpx.AsyncClient, receiver: WebhookReceiver, prompt: str) -> str:
    """The id of a task whose webhook goes to the receiver."""
    created = await api.post(f"/{FLUX}", params={"webhook": f"{receiver.url}/hook"}, json={"prompt": prompt})
    task_id: str = created.json()["data"]["id"]
    return task_id


@pytest.mark.parametrize(("fault", "believed"), [("", True), ("[[sandbox fault=webhook_bad_signature]]", False)])
async def test_a_webhook_is_signed_in_wavespeeds_own_way(api: httpx.AsyncClient, fault: str, believed: bool) -> None:
    async with webhook_receiver() as receiver:
        task_id = await told(api, receiver, f"a fox {fault}")
        received = await receiver.next()

    assert json.loads(received.body)["id"] == task_id
    verifier = make_verifiers({"wavespeed": SecretStr(SECRET)})["wavespeed"]
    if believed:
        verifier.verify(received.body, received.headers)
    else:
        with pytest.raises(WebhookRejected):
            verifier.verify(received.body, received.headers)


async def test_a_webhook_that_is_sent_twice_has_one_id(api: httpx.AsyncClient) -> None:
    async with webhook_receiver() as receiver:
        await told(api, receiver, "a fox [[sandbox fault=webhook_duplicate]]")
        received = [await receiver.next(), await receiver.next()]

    assert len({one.headers["webhook-id"] for one in received}) == 1


# --- the wire ---------------------------------------------------------------------------------------------------------


def conforms(schema: str, body: Any) -> None:
    specification = json.loads((SPECS / "wavespeed.json").read_text())
    root = {"$ref": f"#/components/schemas/{schema}", "components": specification["components"]}
    Draft202012Validator(root).validate(body)


async def test_the_sandboxs_answers_are_those_of_the_openapi_file(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    created = await api.post(f"/{FLUX}", json={"prompt": "a lake [[sandbox duration=1000]]"})
    await api.post(f"/{FLUX}", json={"prompt": "a lake [[sandbox fault=model_error]]"})
    running = await api.get(created.json()["data"]["urls"]["get"])
    await sandbox.advance(1001)
    ended_well = await api.get(created.json()["data"]["urls"]["get"])
    listed = await api.post("/predictions", json={"page": 1, "page_size": 100})
    refused = await api.post(f"/{FLUX}", json={"prompt": "a lake", "n": 2})

    for answer, status in ((created, "created"), (running, "processing"), (ended_well, "completed")):
        conforms("TaskResponse", answer.json())
        assert answer.json()["data"]["status"] in {status, "processing"}
    conforms("PredictionListResponse", listed.json())
    assert sorted(item["status"] for item in listed.json()["data"]["items"]) == ["completed", "failed"]
    conforms("ApiResponse", refused.json())
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/wavespeed-ai/flux-9", {"prompt": "a lake"}, 404),
        (f"/{FLUX}", {}, 400),
        (f"/{FLUX}", [], 400),
        (f"/{FLUX}", {"prompt": "a lake", "size": "1920*1080"}, 400),
        (f"/{FLUX}", {"prompt": "a lake", "size": "1024x1024"}, 400),
        (f"/{FLUX}", {"prompt": "a lake", "image": "data:image/png;base64,AAAA"}, 400),
        ("/predictions", {"page": 0, "page_size": 100}, 400),
        ("/predictions", {"page": 1, "page_size": 101}, 400),
        ("/predictions", {"page": 1, "page_size": 10, "created_after": "yesterday"}, 400),
        ("/media/uploads", {"filename": "a.png"}, 400),
        ("/media/uploads", {"filename": "a.png", "size": 300_000_000, "content_type": "image/png"}, 413),
    ],
)
async def test_the_sandbox_refuses_what_wavespeed_refuses(
    api: httpx.AsyncClient, sandbox: SandboxServer, path: str, body: Any, status: int
) -> None:
    answer = await api.post(path, json=body)

    assert (answer.status_code, answer.json()["code"] in {status, 1400, 1401}) == (status, True)
    assert await sandbox.charges() == []
