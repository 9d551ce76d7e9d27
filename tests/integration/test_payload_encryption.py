"""What the engine keeps: no words of a client's in clear, old histories still told, and people can look with the codec server."""

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
import uvicorn
from google.protobuf import json_format
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from api.codec_server import create_codec_app
from contracts.key_ring import KeyRing
from contracts.names import SCHEDULE_RECONCILE, SEARCH_ATTRIBUTES
from contracts.statuses import Kind
from db.models import Generation
from deploy.binaries import temporal_program
from engine.payload_codec import EncryptedPayloads
from engine.schedules import ensure_schedule
from engine.starts import GenerationStart
from errors import PayloadUnreadable
from temporal_client import connect, data_converter
from tests.integration.patience import HTTP_S
from tests.temporal_servers import dev_server

FIRST: Final = "first:" + base64.b64encode(b"1" * 32).decode()
SECOND: Final = "second:" + base64.b64encode(b"2" * 32).decode()
PROMPT: Final = "a zebra in purple boots"
TOKEN: Final = "a token of the tests"


@activity.defn(name="test.paint")
async def paint(prompt: str) -> str:
    """Fails with the prompt in its message and in its details."""
    raise ApplicationError(f"cannot paint {prompt}", prompt, non_retryable=True)


@workflow.defn(name="test.Painting")
class Painting:
    """Carries a prompt everywhere that data can be: input, signal, summary, failures, details, result."""

    def __init__(self) -> None:
        self._told: str | None = None

    @workflow.run
    async def run(self, prompt: str) -> str:
        try:
            await workflow.execute_activity(
                paint,
                prompt,
                start_to_close_timeout=timedelta(seconds=20),
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary=prompt,
            )
        except ActivityError:
            workflow.set_current_details(prompt)
        await workflow.wait_condition(lambda: self._told is not None)
        if self._told == "fail":
            raise ApplicationError(f"gave up on {prompt}", prompt, non_retryable=True)
        return f"{prompt}, {self._told}"

    @workflow.signal
    def tell(self, what: str) -> None:
        self._told = what


@pytest.fixture(scope="module")
async def address() -> AsyncIterator[str]:
    async with dev_server(search_attributes=SEARCH_ATTRIBUTES) as environment:
        yield environment.client.service_client.config.target_host


def ring(*keys: str) -> KeyRing:
    return KeyRing.parse(",".join(keys), setting="KEYS")


async def client_with(address: str, *keys: str) -> Client:
    return await connect(address, converter=data_converter(ring(*keys) if keys else None))


def worker(client: Client, queue: str) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=[Painting],
        activities=[paint],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,  # every task reads the whole history anew
    )


async def started(client: Client, queue: str) -> WorkflowHandle[Painting, str]:
    return await client.start_workflow(
        Painting.run,
        PROMPT,
        id=f"painting-{uuid4()}",
        task_queue=queue,
        memo={"prompt": PROMPT},
        static_summary=PROMPT,
        static_details=PROMPT,
    )


async def painted(handle: WorkflowHandle[Painting, str]) -> None:
    """Until its activity has failed."""
    while "EVENT_TYPE_ACTIVITY_TASK_FAILED" not in (await handle.fetch_history()).to_json():  # noqa: ASYNC110 it happens in the engine
        await asyncio.sleep(0.05)


async def kept(handle: WorkflowHandle[Painting, str]) -> bytes:
    """All that the engine has of a workflow: its history, and its description, as the bytes that come over the wire."""
    history = await handle.fetch_history()
    described = (await handle.describe()).raw_description
    return b"".join(event.SerializeToString() for event in history.events) + described.SerializeToString()


@pytest.mark.parametrize("end", ["well", "fail"])
async def test_no_word_of_a_prompt_stands_in_clear_in_what_the_engine_keeps(address: str, end: str) -> None:
    secret, plain = await client_with(address, FIRST), await client_with(address)
    found = {}
    for name, client in {"secret": secret, "plain": plain}.items():
        async with worker(client, name):
            handle = await started(client, name)
            await painted(handle)
            await handle.signal(Painting.tell, end)
            if end == "fail":
                with pytest.raises(WorkflowFailureError) as failure:
                    await handle.result()
                assert str(failure.value.cause) == f"gave up on {PROMPT}"
            else:
                assert await handle.result() == f"{PROMPT}, well"
            found[name] = await kept(handle)

    assert b"zebra" in found["plain"]
    assert b"zebra" not in found["secret"]


async def test_a_run_that_began_in_clear_goes_on_encrypted(address: str) -> None:
    plain, secret = await client_with(address), await client_with(address, FIRST)
    async with worker(plain, "turned-on"):
        handle = await started(plain, "turned-on")
        await painted(handle)

    async with worker(secret, "turned-on"):
        await secret.get_workflow_handle(handle.id).signal("tell", "well")
        assert await secret.get_workflow_handle_for(Painting.run, handle.id).result() == f"{PROMPT}, well"

    replayer = Replayer(
        workflows=[Painting],
        data_converter=data_converter(ring(FIRST)),
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    await replayer.replay_workflow(await handle.fetch_history())


async def test_a_run_of_the_old_key_goes_on_under_the_new_one_and_needs_both(address: str) -> None:
    old, both, new = [await client_with(address, *keys) for keys in ((FIRST,), (SECOND, FIRST), (SECOND,))]
    async with worker(old, "rotated"):
        handle = await started(old, "rotated")
        await painted(handle)
    async with worker(both, "rotated"):
        await both.get_workflow_handle(handle.id).signal("tell", "well")
        assert await both.get_workflow_handle_for(Painting.run, handle.id).result() == f"{PROMPT}, well"

    assert await new.get_workflow_handle_for(Painting.run, handle.id).result() == f"{PROMPT}, well"
    with pytest.raises(PayloadUnreadable, match="'first'"):
        await (await new.get_workflow_handle(handle.id).describe()).memo()


async def test_the_reconcilers_schedule_follows_the_newest_key(address: str) -> None:
    """Each worker writes it anew when it starts; else a key could never be taken away."""
    for keys in ((), (FIRST,), (SECOND, FIRST), (SECOND,)):
        client = await client_with(address, *keys)
        await ensure_schedule(client, 3600)

    described = (await client.get_schedule_handle(SCHEDULE_RECONCILE).describe()).raw_description.SerializeToString()
    assert b"second" in described
    assert b"first" not in described
    await client.get_schedule_handle(SCHEDULE_RECONCILE).delete()


@asynccontextmanager
async def codec_server(**options: Any) -> AsyncIterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_codec_app(EncryptedPayloads(ring(FIRST)), **options)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def browser_at(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=HTTP_S)


async def shown(address: str, workflow_id: str, *more: str) -> str:
    """What Temporal's own command line shows of a workflow."""
    command = [temporal_program(), "workflow", "show", "--address", address, "--workflow-id", workflow_id]
    command += ["--output", "json", "--disable-config-file", "--disable-config-env", *more]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    return done.stdout


async def test_temporals_own_tools_show_the_words_through_the_codec_server_alone(address: str) -> None:
    client = await client_with(address, FIRST)
    async with worker(client, "looked-at"), codec_server(token=TOKEN) as url:
        handle = await started(client, "looked-at")
        await painted(handle)
        await handle.signal(Painting.tell, "well")
        await handle.result()
        without = await shown(address, handle.id)
        with_it = await shown(address, handle.id, "--codec-endpoint", url, "--codec-auth", f"Bearer {TOKEN}")

    result = base64.b64encode(f'"{PROMPT}, well"'.encode()).decode()  # as it stands in the JSON of a payload
    assert result not in without
    assert result in with_it


CLEAR: Final = {
    "payloads": [{"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": "InplYnJhIg=="}]
}


async def test_the_codec_server_answers_only_who_shows_its_token() -> None:
    async with codec_server(token=TOKEN) as url, browser_at(url) as browser:
        refused = [
            await browser.post("/decode", json=CLEAR),
            await browser.post("/decode", json=CLEAR, headers={"Authorization": "Bearer a wrong one"}),
            await browser.post("/encode", json=CLEAR, headers={"Authorization": f"Basic {TOKEN}"}),
        ]
        served = await browser.post("/decode", json=CLEAR, headers={"Authorization": f"Bearer {TOKEN}"})

    assert [answer.status_code for answer in refused] == [401, 401, 401]
    assert (served.status_code, served.headers["Cache-Control"]) == (200, "no-store")


async def test_what_the_codec_server_encodes_it_decodes() -> None:
    async with codec_server() as url, browser_at(url) as browser:
        sealed = (await browser.post("/encode", json=CLEAR, headers={"X-Namespace": "default"})).json()
        opened = (await browser.post("/decode", json=sealed)).json()

    assert "InplYnJhIg==" not in json.dumps(sealed)
    assert opened == CLEAR


async def test_only_pages_of_the_web_ui_may_ask_the_codec_server() -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
    async with (
        codec_server(origins=["http://localhost:8233"]) as url,
        browser_at(url) as browser,
    ):
        ours = await browser.options("/decode", headers={**asked, "Origin": "http://localhost:8233"})
        others = await browser.options("/decode", headers={**asked, "Origin": "https://evil.example"})
        form = await browser.post("/decode", content=json.dumps(CLEAR), headers={"Content-Type": "text/plain"})

    assert ours.headers["Access-Control-Allow-Origin"] == "http://localhost:8233"
    assert "Access-Control-Allow-Origin" not in others.headers
    assert form.status_code == 415


@pytest.mark.parametrize("body", ["", "[1]", "7", '{"payloads": 7}', '{"payloads": [{"data": 7}]}', "\x00"])
async def test_a_body_that_is_none_of_temporals_is_a_problem_of_the_callers(body: str) -> None:
    async with codec_server() as url, browser_at(url) as browser:
        answer = await browser.post("/decode", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


async def test_a_payload_of_a_key_that_is_gone_is_a_problem_that_names_it() -> None:
    sealed = await EncryptedPayloads(ring(SECOND)).encode([Payload(data=b"zebra")])
    body = json_format.MessageToDict(Payloads(payloads=sealed))
    async with codec_server() as url, browser_at(url) as browser:
        answer = await browser.post("/decode", json=body)

    assert (answer.status_code, "'second'" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("keys", "options", "said"),
    [("", [], "PAYLOAD_KEYS is not set"), (FIRST, ["--host", "192.0.2.1"], "Set DIORAMA_CODEC_TOKEN")],
)
def test_the_command_says_what_it_lacks(keys: str, options: list[str], said: str, tmp_path: Path) -> None:
    servers = {
        "DATABASE_URL": "postgresql+asyncpg://nobody@localhost/nothing",
        "STORE_ENDPOINT": "http://127.0.0.1:9",
        "STORE_ACCESS_KEY": "nobody",
        "STORE_SECRET_KEY": "nothing",
        "API_KEY_PEPPER": "a pepper of the tests",
        "TOKEN_SECRET": "a secret of the tests",
        "PAYLOAD_KEYS": keys,
    }

    done = subprocess.run(
        [sys.executable, "-m", "cli", "codec", *options, "--stack-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={f"DIORAMA_{name}": value for name, value in servers.items()} | {"PATH": os.environ["PATH"]},
    )

    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


REQUESTS: Final[dict[Kind, dict[str, Any]]] = {
    Kind.avatar: {"avatar": {"description": PROMPT, "style": PROMPT}},
    Kind.scene: {"scene": {"theme": "aurora-night", "details": PROMPT}, "image_url": "https://example.com/zebra.png"},
    Kind.avatar_scene: {"avatar": {"description": PROMPT}, "scene": {"theme": "aurora-night", "details": PROMPT}},
    Kind.image: {"prompt": PROMPT, "count": 3, "traits": {"negative_prompt": PROMPT}},
    Kind.enhance: {"operation": "upscale", "image_asset_id": str(uuid4())},
}


@pytest.mark.parametrize("kind", REQUESTS)
async def test_what_the_engine_shows_unencrypted_of_a_generation_has_no_prompt_in_it(address: str, kind: Kind) -> None:
    """Ids, types and search attributes are never encrypted; of the rest this looks at what is there without keys."""
    client = await client_with(address)
    request = {"kind": kind, **REQUESTS[kind]}
    generation = Generation(tenant_id=uuid4(), kind=kind, request=request, request_hash="", quote_max_usd=Decimal(0))
    start = GenerationStart.of(generation, weight=1.0)

    await start.send(client)

    handle = client.get_workflow_handle(start.key)
    described = (await handle.describe()).raw_description.SerializeToString()
    history = (await handle.fetch_history()).to_json()
    await handle.terminate()
    assert b"zebra" not in described
    assert "zebra" not in history
    assert base64.b64encode(PROMPT.encode()).decode()[:12] not in history
