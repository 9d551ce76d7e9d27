"""What the sandbox knows outlives a kill -9."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.fresh_connections import FRESH
from tests.integration.patience import HTTP_S, waiting_for
from tests.sandbox_server import SandboxServer, start_sandbox
from tests.webhook_receiver import webhook_receiver

CREATE = "/v1/models/openai/gpt-image-2/predictions"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path, duration=100) as server:
        yield server


@pytest.fixture
async def api(sandbox: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": "Bearer r8_x"}
    async with httpx.AsyncClient(
        base_url=sandbox.replicate_url, headers=headers, limits=FRESH, timeout=HTTP_S, trust_env=False
    ) as client:
        yield client


async def killed_and_started(sandbox: SandboxServer) -> None:
    await sandbox.kill()
    await sandbox.start()


async def test_jobs_charges_files_clock_faults_and_journal_survive(
    sandbox: SandboxServer, api: httpx.AsyncClient
) -> None:
    headers = {"authorization": "Bearer sk"}
    running = (await api.post(CREATE, json={"input": {"prompt": "running"}})).json()
    canceled = (await api.post(CREATE, json={"input": {"prompt": "canceled"}})).json()
    await api.post(canceled["urls"]["cancel"])
    paid = {"prompt": "paid [[sandbox duration=0]]"}
    await sandbox.admin.post(f"{sandbox.openai_url}/images/generations", json=paid, headers=headers)
    file = (await api.post("/v1/files", files={"content": ("a.txt", b"hello", "text/plain")})).json()
    await sandbox.arm("rate_limited", match="armed", times=2)
    await api.post(CREATE, json={"input": {"prompt": "armed"}})
    await sandbox.advance(60)
    before = await sandbox.charges(), await sandbox.journal()

    await killed_and_started(sandbox)

    assert (await sandbox.charges(), await sandbox.journal()) == before
    assert (await api.get(running["urls"]["get"])).json()["status"] == "processing"
    assert (await api.get(canceled["urls"]["get"])).json()["status"] == "canceled"
    assert (await api.get(file["urls"]["get"])).json() == file
    statuses = [(await api.post(CREATE, json={"input": {"prompt": "armed"}})).status_code for _ in range(2)]
    assert statuses == [429, 201]


async def test_a_running_job_ends_at_its_recorded_time_and_its_picture_is_the_same(
    sandbox: SandboxServer, api: httpx.AsyncClient
) -> None:
    created = (await api.post(CREATE, json={"input": {"prompt": "a lake"}})).json()
    await killed_and_started(sandbox)
    await sandbox.advance(101)
    ended = (await api.get(created["urls"]["get"])).json()
    picture = (await api.get(ended["output"][0])).content

    await killed_and_started(sandbox)

    assert (await api.get(created["urls"]["get"])).json() == ended
    assert (await api.get(ended["output"][0])).content == picture


async def test_a_full_drawing_that_was_interrupted_is_painted_after_the_restart(
    sandbox: SandboxServer, api: httpx.AsyncClient
) -> None:
    await sandbox.change(drawing="full")
    created = (await api.post(CREATE, json={"input": {"prompt": "a lake [[sandbox duration=0]]"}})).json()
    assert sandbox.process is not None
    server = psutil.Process(sandbox.process.pid)
    async with waiting_for("processes that paint"):
        while not (painters := server.children(recursive=True)):
            await api.get(created["urls"]["get"])

    await killed_and_started(sandbox)
    orphans = (await asyncio.to_thread(psutil.wait_procs, painters, timeout=60))[1]
    async with waiting_for("the end of a prediction"):
        while (body := (await api.get(created["urls"]["get"])).json())["status"] == "processing":
            pass

    assert body["status"] == "succeeded"
    assert len((await api.get(body["output"][0])).content) > 20_000
    assert orphans == []


async def test_an_unsent_webhook_is_sent_after_the_restart(sandbox: SandboxServer, api: httpx.AsyncClient) -> None:
    async with webhook_receiver() as receiver:
        body = {"input": {"prompt": "a lake"}, "webhook": receiver.url, "webhook_events_filter": ["completed"]}
        created = (await api.post(CREATE, json=body)).json()
        await sandbox.kill()
        await sandbox.start()
        await sandbox.advance(101)
        first = await receiver.next()
        async with waiting_for("the answer to a webhook"):
            while not await sandbox.webhooks(event="completed", prediction_id=created["id"]):
                pass
        await killed_and_started(sandbox)

        assert created["id"].encode() in first.body
        assert receiver.received.empty()


async def test_a_torn_last_record_is_cut_off(sandbox: SandboxServer, api: httpx.AsyncClient) -> None:
    await api.post(CREATE, json={"input": {"prompt": "whole"}})
    await sandbox.kill()
    for name in ("state.jsonl", "journal.jsonl"):
        with (sandbox.data_dir / name).open("ab") as log:
            log.write(b'{"kind":"prediction","id":"to')
    await sandbox.start()
    await api.post(CREATE, json={"input": {"prompt": "after"}})

    await killed_and_started(sandbox)

    assert [job["prompt"] for job in await sandbox.jobs()] == ["whole", "after"]
    assert [entry["status"] for entry in await sandbox.journal(operation="create")] == [201, 201]
