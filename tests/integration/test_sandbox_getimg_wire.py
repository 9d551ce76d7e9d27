"""The sandbox's getimg on the wire: its answers have the types of getimg's own client."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.integration.patience import HTTP_S
from tests.sandbox_server import SandboxServer, start_sandbox

SPECS = Path(__file__).parents[1] / "specs"


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("getimg-wire")) as server:
        yield server


@pytest.fixture
async def api(sandbox: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": "Bearer sk_x"}
    async with httpx.AsyncClient(
        base_url=sandbox.getimg_url, headers=headers, timeout=HTTP_S, trust_env=False
    ) as client:
        yield client


def conforms(schema: str, body: Any) -> None:
    components = json.loads((SPECS / "getimg.json").read_text("utf-8"))["components"]
    root = {"$ref": f"#/components/schemas/{schema}", "components": components}
    Draft202012Validator(root, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(body)


async def test_a_picture_is_answered_with_the_fields_that_its_client_reads(api: httpx.AsyncClient) -> None:
    wanted = {"model": "seedream-5-lite", "prompt": "a fox", "aspect_ratio": "16:9", "resolution": "2K"}
    answer = await api.post("/v2/images/generations", json=wanted)

    assert answer.status_code == 200
    conforms("ImageGenerateResponse", answer.json())
    assert answer.json()["data"][0]["width"] == 2848


async def test_models_and_the_balance_are_answered_with_the_fields_that_its_client_reads(
    api: httpx.AsyncClient,
) -> None:
    listed = (await api.get("/v2/models", params={"type": "image"})).json()
    one = (await api.get(f"/v2/models/{listed[0]['id']}")).json()

    assert listed
    for model in [*listed, one]:
        conforms("Model", model)
    conforms("Balance", (await api.get("/v2/billing/balance")).json())
