"""The sandbox's Replicate answers against the official schemas and recorded traffic."""

import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from sandbox.clock import from_iso
from sandbox.keys import load_keys
from sandbox.replicate.file_routes import download_signature
from tests.integration.patience import HTTP_S, waiting_for
from tests.sandbox_server import SandboxServer, start_sandbox

SPECS = Path(__file__).parents[1] / "specs"
CREATE = "/v1/models/openai/gpt-image-2/predictions"
# Keys that the API has gained since 2024, or that only text models have.
YOUNGER_KEYS = {"data_removed", "deadline", "source"}


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("replicate-wire"), duration=1000) as server:
        yield server


@pytest.fixture
async def api(sandbox: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    await sandbox.reset()
    headers = {"authorization": "Bearer r8_x"}
    async with httpx.AsyncClient(
        base_url=sandbox.replicate_url, headers=headers, timeout=HTTP_S, trust_env=False
    ) as client:
        yield client


def conforms(schema: str, body: Any) -> None:
    specification = json.loads((SPECS / "replicate.json").read_text())
    root = {"$ref": f"#/components/schemas/{schema}", "components": specification["components"]}
    Draft202012Validator(root).validate(body)


def recorded(**wanted: Any) -> dict[str, Any]:
    interactions = json.loads((SPECS / "replicate-recorded.json").read_text())["interactions"]
    found: dict[str, Any] = next(
        one for one in interactions if all(one[name] == value for name, value in wanted.items())
    )
    return found


async def create(api: httpx.AsyncClient, prompt: str = "a lake", **more: Any) -> httpx.Response:
    return await api.post(CREATE, json={"input": {"prompt": prompt, **more}})


async def read(api: httpx.AsyncClient, created: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = (await api.get(created.json()["urls"]["get"])).json()
    return body


async def test_a_created_prediction_has_the_recorded_keys_and_headers(api: httpx.AsyncClient) -> None:
    recording = recorded(
        method="POST", status=201, prefer=None, path="/v1/models/meta/meta-llama-3-8b-instruct/predictions"
    )

    answer = await create(api)

    assert answer.status_code == 201
    assert set(answer.json()) - YOUNGER_KEYS == set(recording["body_keys"])
    assert answer.json()["status"] == recording["status_word"]
    assert {name: answer.headers[name] for name in recording["ratelimit"]} == recording["ratelimit"]


async def test_a_waiting_create_answers_as_recorded(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    recording = recorded(path="/v1/predictions", prefer="wait=10")

    answer = await api.post(
        CREATE, json={"input": {"prompt": "a lake [[sandbox duration=0.1]]"}}, headers={"prefer": "wait=10"}
    )

    body = answer.json()
    assert answer.status_code == recording["status"]
    assert answer.headers["preference-applied"] == recording["preference_applied"]
    assert set(body) == set(recording["body_keys"])
    assert body["status"] == recording["status_word"] == "processing"
    assert body["output"][0][:11] == recording["output_starts"][:11]


async def test_a_wait_that_runs_out_leaves_a_starting_prediction(api: httpx.AsyncClient) -> None:
    answer = await api.post(CREATE, json={"input": {"prompt": "a lake"}}, headers={"prefer": "wait=1"})

    assert (answer.status_code, answer.json()["status"]) == (202, "starting")


async def test_a_finished_prediction_conforms_and_has_the_recorded_keys(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    recording = recorded(method="GET", status_word="succeeded", path="/v1/predictions/{id}")
    created = await create(api)
    await sandbox.advance(1001)

    body = await read(api, created)

    conforms("schemas_prediction_response", body)
    assert set(recording["body_keys"]) <= set(body)
    assert body["metrics"]["predict_time"] == pytest.approx(1000, abs=0.001)


@pytest.mark.parametrize(
    ("prompt", "advance_s", "status"),
    [
        ("a lake [[sandbox queue=100]]", 0, "starting"),
        ("a lake", 500, "processing"),
        ("a lake", 1001, "succeeded"),
        ("a lake [[sandbox fault=model_error]]", 1001, "failed"),
        ("a lake [[sandbox fault=abort]]", 1, "aborted"),
    ],
)
async def test_every_status_conforms_to_the_schema(
    api: httpx.AsyncClient, sandbox: SandboxServer, prompt: str, advance_s: float, status: str
) -> None:
    created = await create(api, prompt)
    await sandbox.advance(advance_s)

    body = await read(api, created)

    assert body["status"] == status
    conforms("schemas_prediction_response", body)


async def test_logs_grow_while_the_prediction_runs(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    created = await create(api)
    grown = []
    for _ in range(3):
        await sandbox.advance(300)
        grown.append((await read(api, created))["logs"])

    assert [logs.splitlines()[-1][:4] for logs in grown] == [" 30%", " 60%", " 90%"]
    assert grown[2].startswith(grown[1])


async def test_lists_files_models_and_account_conform(api: httpx.AsyncClient) -> None:
    await create(api)
    uploaded = await api.post("/v1/files", files={"content": ("a.txt", b"hello", "text/plain")})

    assert uploaded.status_code == 201
    conforms("schemas_file_response", uploaded.json())
    conforms("schemas_paginated_prediction_response", (await api.get("/v1/predictions")).json())
    conforms("schemas_model_response", (await api.get("/v1/models/stability-ai/sdxl")).json())
    conforms("account", (await api.get("/v1/account")).json())
    conforms("webhook_secret", (await api.get("/v1/webhooks/default/secret")).json())


async def test_a_lost_create_is_found_by_the_time_it_was_sent(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    await create(api, "an older lake")
    await sandbox.advance(10)
    clock = (await sandbox.admin.get("/admin/clock")).json()["iso"]
    await sandbox.arm("lost_response", provider="replicate", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await create(api, user_id="token-17")

    after = (await api.get("/v1/predictions", params={"created_after": clock})).json()["results"]
    before = (await api.get("/v1/predictions", params={"created_before": clock})).json()["results"]

    assert [one["input"].get("user_id") for one in after] == ["token-17"]
    assert [one["input"]["prompt"] for one in before] == ["an older lake"]


async def test_an_hour_after_its_end_a_predictions_data_is_gone(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    created = await create(api)
    await sandbox.advance(1001)
    output = (await read(api, created))["output"][0]
    assert (await api.get(output)).status_code == 200

    await sandbox.advance(3600)

    body = await read(api, created)
    assert (body["status"], body["data_removed"], body["output"], body["input"]) == ("succeeded", True, None, {})
    assert (await api.get(output)).status_code == 404
    conforms("schemas_prediction_response", body)


async def test_uploaded_files_live_for_a_day(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    uploaded = await api.post("/v1/files", files={"content": ("a.txt", b"hello", "text/plain")})
    await sandbox.advance(24 * 3600 + 1)

    assert (await api.get(uploaded.json()["urls"]["get"])).status_code == 404
    assert (await api.get("/v1/files")).json()["results"] == []


async def test_a_file_is_downloaded_by_a_signed_link_until_the_link_expires(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    file = (await api.post("/v1/files", files={"content": ("a.txt", b"hello", "text/plain")})).json()
    expiry = str(int(from_iso(file["created_at"])) + 60)
    signature = download_signature(load_keys(sandbox.data_dir, None), "me", expiry, file["id"])
    link = f"{file['urls']['get']}/download"
    signed = {"owner": "me", "expiry": expiry, "signature": signature}

    assert (await api.get(link, params=signed)).content == b"hello"
    assert (await api.get(link, params=signed | {"owner": "you"})).status_code == 403
    await sandbox.advance(61)
    assert (await api.get(link, params=signed)).status_code == 403


@pytest.mark.parametrize(("queue_s", "status", "billed"), [(3600, "aborted", False), (0, "canceled", True)])
async def test_a_deadline_aborts_what_waits_and_cancels_what_runs(
    api: httpx.AsyncClient, sandbox: SandboxServer, queue_s: int, status: str, billed: bool
) -> None:
    body = {"input": {"prompt": f"a lake [[sandbox queue={queue_s}]]"}}
    created = await api.post(CREATE, json=body, headers={"cancel-after": "5m"})
    assert created.json()["deadline"] > created.json()["created_at"]
    await sandbox.advance(301)

    assert (await read(api, created))["status"] == status
    assert [row["billed"] for row in await sandbox.charges()] == [billed]


async def test_a_deadline_under_five_seconds_is_refused(api: httpx.AsyncClient) -> None:
    refused = await api.post(CREATE, json={"input": {"prompt": "a lake"}}, headers={"cancel-after": "4s"})

    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            {"model": "openai/gpt-image-2", "input": {}},
            "- version is required\n- Additional property model is not allowed\n",
        ),
        ({"version": "openai/gpt-image-2"}, "- input is required\n"),
    ],
)
async def test_a_malformed_body_is_refused_in_the_apis_words(api: httpx.AsyncClient, body: Any, detail: str) -> None:
    refused = await api.post("/v1/predictions", json=body)

    assert (refused.status_code, refused.json()["detail"]) == (422, detail)
    assert refused.headers["content-type"] == "application/problem+json"


async def test_every_form_of_version_is_accepted(api: httpx.AsyncClient) -> None:
    hexadecimal = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
    forms = [hexadecimal, f"stability-ai/sdxl:{hexadecimal}", "openai/gpt-image-2"]

    answers = [await api.post("/v1/predictions", json={"version": form, "input": {"prompt": "a"}}) for form in forms]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert [answer.json()["version"] for answer in answers] == [hexadecimal, hexadecimal, "hidden"]


async def test_a_deployment_runs_its_model(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/deployments/diorama/scenes/predictions", json={"input": {"prompt": "a lake"}})

    assert (answer.json()["model"], answer.json()["deployment"]) == ("openai/gpt-image-2", "diorama/scenes")


@pytest.mark.parametrize(
    ("model", "ratio", "status"),
    [
        ("gpt-image-2", "16:9", 422),
        ("gpt-image-2.5-flare", "16:9", 201),
        ("gpt-image-2.5-flare", "1920x1088", 201),
        ("gpt-image-2.5-sunburst", "1920x1080", 422),
        ("gpt-image-2.5-sunburst", "4096x1024", 422),
    ],
)
async def test_sizes_are_checked_by_model(api: httpx.AsyncClient, model: str, ratio: str, status: int) -> None:
    body = {"input": {"prompt": "a lake", "aspect_ratio": ratio}}

    answer = await api.post(f"/v1/models/openai/{model}/predictions", json=body)

    assert answer.status_code == status
    if status == 422:
        assert [one["field"] for one in answer.json()["invalid_fields"]] == ["input.aspect_ratio"]


async def test_an_unfetchable_reference_fails_the_prediction_unbilled(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    created = await create(api, input_images=[f"{sandbox.url}/no-such-picture"])
    body = await ended(api, created)

    assert body["status"] == "failed"
    assert "404" in body["error"]
    assert [row["billed"] for row in await sandbox.charges()] == [False]


async def test_a_data_uri_reference_is_shown_as_an_address_that_serves_it(api: httpx.AsyncClient) -> None:
    picture = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(picture, "PNG")
    created = await create(api, "a lake [[sandbox duration=0]]", input_images=[data_uri(picture.getvalue())])

    shown = created.json()["input"]["input_images"][0]
    assert (await api.get(shown)).content == picture.getvalue()
    assert (await ended(api, created))["status"] == "succeeded"


async def ended(api: httpx.AsyncClient, created: httpx.Response) -> dict[str, Any]:
    async with waiting_for("the end of a prediction"):
        while (body := await read(api, created))["completed_at"] is None:
            pass
    return body


def data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
