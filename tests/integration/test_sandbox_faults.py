"""Faults on demand: each does to a client what it is named after, and costs what it should."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image, UnidentifiedImageError

from tests.integration.patience import HTTP_S, waiting_for
from tests.sandbox_server import SandboxServer, start_sandbox

CREATE = "/v1/models/openai/gpt-image-2/predictions"
NEXT_TOKEN_S = 10  # until an account with little credit may create once more


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("faults"), duration=10) as server:
        yield server


@pytest.fixture
async def api(sandbox: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    await sandbox.reset()
    headers = {"authorization": "Bearer r8_x"}
    async with httpx.AsyncClient(
        base_url=sandbox.replicate_url, headers=headers, timeout=HTTP_S, trust_env=False
    ) as client:
        yield client


async def create(api: httpx.AsyncClient, prompt: str = "a lake", fault: str | None = None) -> httpx.Response:
    headers = {"x-sandbox-fault": fault} if fault else {}
    return await api.post(CREATE, json={"input": {"prompt": prompt}}, headers=headers)


async def finish(api: httpx.AsyncClient, sandbox: SandboxServer, created: httpx.Response) -> dict[str, Any]:
    await sandbox.advance(60)
    body: dict[str, Any] = (await api.get(created.json()["urls"]["get"])).json()
    return body


async def has_charged(sandbox: SandboxServer) -> None:
    async with waiting_for("a charge"):
        while not await sandbox.charges():  # noqa: ASYNC110 the change happens in another process
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("input_policy", ("failed", "flagged as sensitive", False)),
        ("output_policy", ("failed", "(E005)", True)),
        ("empty_output", ("succeeded", "", True)),
        ("interrupted", ("failed", "(code: PA)", False)),
        ("infra_error", ("failed", "(E9828)", False)),
        ("out_of_memory", ("failed", "(E1001)", False)),
        ("model_error message=Boom", ("failed", "Boom", False)),
        ("stuck", ("processing", "", None)),
        ("abort", ("aborted", "", False)),
        ("slow_start seconds=100", ("starting", "", None)),
    ],
)
async def test_a_jobs_fault_decides_how_it_ends_and_what_it_costs(
    api: httpx.AsyncClient, sandbox: SandboxServer, fault: str, outcome: tuple[str, str, bool | None]
) -> None:
    status, error, billed = outcome

    body = await finish(api, sandbox, await create(api, f"a lake [[sandbox fault={fault}]]"))

    assert body["status"] == status
    assert error in (body["error"] or "")
    assert bool(body["error"]) is bool(error)
    assert not body["output"]
    assert [row["billed"] for row in await sandbox.charges()] == [billed]


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (
            "rate_limited retry_after=9",
            429,
            {"retry_after": 9, "detail": "Request was throttled. Your rate limit resets in ~9s."},
        ),
        ("low_credit", 429, {"retry_after": 9}),
        ("insufficient_credit", 402, {"title": "Insufficient credit", "status": 402}),
        ("unauthenticated", 401, {"title": "Unauthenticated", "status": 401}),
        ("model_gone", 422, {"title": "Invalid version or not permitted", "status": 422}),
        ("input_refused", 422, {"title": "Input validation failed", "status": 422}),
        ("server_error", 500, {"status": 500}),
    ],
)
async def test_a_refused_create_is_worded_as_the_api_words_it_and_costs_nothing(
    api: httpx.AsyncClient, sandbox: SandboxServer, fault: str, status: int, words: dict[str, Any]
) -> None:
    answer = await create(api, fault=fault)

    assert answer.status_code == status
    assert words.items() <= answer.json().items()
    assert await sandbox.charges() == []


async def test_a_bad_gateway_answers_in_html(api: httpx.AsyncClient) -> None:
    answer = await create(api, fault="server_error status=502")

    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=UTF-8")


async def test_a_server_error_after_acceptance_is_billed(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    answer = await create(api, fault="server_error status=504 after=accept")
    await sandbox.advance(60)

    assert answer.status_code == 504
    assert [row["billed"] for row in await sandbox.charges()] == [True]


async def test_a_lost_response_buys_and_a_reset_before_acceptance_does_not(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await create(api, "lost", fault="lost_response")
    with pytest.raises(httpx.ReadError):
        await create(api, "reset", fault="reset_before_accept")

    assert [one["prompt"] for one in await sandbox.jobs()] == ["lost"]
    assert [entry["status"] for entry in await sandbox.journal(operation="create")] == [0, 0]


async def test_a_marker_with_times_strikes_that_often_per_prompt(api: httpx.AsyncClient) -> None:
    marked = "[[sandbox fault=rate_limited times=2]]"

    first = [(await create(api, f"a lake {marked}")).status_code for _ in range(3)]
    other = (await create(api, f"a hill {marked}")).status_code

    assert (first, other) == ([429, 429, 201], 429)


async def test_an_armed_fault_strikes_only_what_it_matches(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    await sandbox.arm("rate_limited", provider="replicate", match="volcano", times=1)

    statuses = [(await create(api, prompt)).status_code for prompt in ("a lake", "a volcano", "a volcano")]

    assert statuses == [201, 429, 201]
    assert [fault["struck"] for fault in (await sandbox.admin.get("/admin/faults")).json()] == [1]
    await sandbox.disarm()
    assert (await sandbox.admin.get("/admin/faults")).json() == []


@pytest.mark.parametrize("operation", ["get", "cancel", "list"])
async def test_reads_and_cancels_can_fail_as_well(
    api: httpx.AsyncClient, sandbox: SandboxServer, operation: str
) -> None:
    urls = (await create(api)).json()["urls"]
    await sandbox.arm("server_error", operation=operation, times=1, params={"status": 503})

    async def call() -> int:
        if operation == "cancel":
            return (await api.post(urls["cancel"])).status_code
        return (await api.get(urls["get"] if operation == "get" else "/v1/predictions")).status_code

    assert [await call(), await call()] == [503, 200]


async def test_a_slow_answer_leaves_an_accepted_job_behind_a_timeout(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    body = {"input": {"prompt": "a lake [[sandbox fault=slow_answer seconds=60]]"}}
    with pytest.raises(httpx.ReadTimeout):
        await api.post(CREATE, json=body, timeout=httpx.Timeout(HTTP_S, read=0.2))
    await has_charged(sandbox)

    assert len(await sandbox.charges()) == 1


async def test_a_request_that_was_on_its_way_is_not_in_the_journal_after_a_reset(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    going = asyncio.create_task(create(api, fault="slow_answer seconds=60"))
    await has_charged(sandbox)
    await sandbox.reset()
    await sandbox.advance(61)
    await going

    assert await sandbox.journal() == []
    await create(api)
    assert [entry["operation"] for entry in await sandbox.journal()] == ["create"]


async def downloaded(api: httpx.AsyncClient, sandbox: SandboxServer, fault: str) -> httpx.Response:
    created = await create(api, f"a lake [[sandbox fault={fault}]]")
    # A full drawing may take longer than the clock says.
    while not (output := (await finish(api, sandbox, created))["output"]):
        pass
    return await api.get(output[0])


async def test_a_delivery_404_lasts_as_many_downloads_as_asked(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    body = await finish(api, sandbox, await create(api, "a lake [[sandbox fault=delivery_404 times=2]]"))

    assert [(await api.get(body["output"][0])).status_code for _ in range(3)] == [404, 404, 200]


async def test_a_cut_download_ends_before_its_announced_length(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="received 100 bytes"):
        await downloaded(api, sandbox, "cut_download after_bytes=100")


async def test_a_corrupt_image_does_not_decode(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    answer = await downloaded(api, sandbox, "corrupt_image")

    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(answer.content))


async def test_a_wrong_size_is_half_the_size(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    await sandbox.change(drawing="full")
    try:
        wrong = await downloaded(api, sandbox, "wrong_size")
    finally:
        await sandbox.change(drawing="fast")

    assert Image.open(io.BytesIO(wrong.content)).size == (512, 512)


async def test_a_slow_download_comes_in_pieces_and_whole(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    body = await finish(
        api, sandbox, await create(api, "a lake [[sandbox fault=slow_download bytes_per_s=20000 times=1]]")
    )

    async with api.stream("GET", body["output"][0]) as slow:
        pieces = [piece async for piece in slow.aiter_raw()]
    at_once = (await api.get(body["output"][0])).content

    assert len(pieces) > 1
    assert b"".join(pieces) == at_once


async def test_an_unknown_fault_is_told_at_once(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    marker = await create(api, "a lake [[sandbox fault=no_such]]")
    header = await create(api, fault="no_such")
    armed = await sandbox.admin.post("/admin/faults", json={"fault": "no_such"})

    assert [marker.status_code, header.status_code, armed.status_code] == [400, 400, 422]
    assert "no_such" in marker.text


async def test_markers_are_not_painted_but_are_echoed(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    prompt = "a lake [[sandbox duration=0.5]]"

    body = await finish(api, sandbox, await create(api, prompt))

    assert body["input"]["prompt"] == prompt
    assert body["metrics"]["predict_time"] == pytest.approx(0.5, abs=0.001)


async def create_beyond_the_limit(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> tuple[list[int], list[httpx.Response]]:
    await sandbox.reset()
    await sandbox.change(creates_per_minute=2)
    try:
        statuses = [(await create(api)).status_code for _ in range(4)]
        await sandbox.change(low_credit=True)
        return statuses, [await create(api) for _ in range(2)]
    finally:
        await sandbox.change(creates_per_minute="unlimited", low_credit=False)


async def test_creates_beyond_the_limit_are_throttled_and_counted(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    for _ in range(10):
        began = time.monotonic()
        statuses, slow_lane = await create_beyond_the_limit(api, sandbox)
        if time.monotonic() - began < NEXT_TOKEN_S:
            break  # a slower one may have been let through once more by right

    assert statuses == [201, 201, 429, 429]
    assert [answer.status_code for answer in slow_lane] == [201, 429]
    assert "less than $5.0 in credit" in slow_lane[1].json()["detail"]
    summary = (await sandbox.summary())["replicate"]
    assert summary["creates_by_status"] == {"201": 3, "429": 3}


async def test_the_summary_shows_what_was_bought_twice(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    for user in ("u1", "u2", "u2"):
        await api.post(CREATE, json={"input": {"prompt": "a lake", "user_id": user}})

    assert (await sandbox.summary())["replicate"]["max_charges_per_correlation"] == 2


async def test_the_journal_holds_no_credentials(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    await create(api)

    assert "r8_x" not in json.dumps(await sandbox.journal())
    assert "r8_x" not in (sandbox.data_dir / "journal.jsonl").read_text()
