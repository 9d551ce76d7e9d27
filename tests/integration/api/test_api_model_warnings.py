"""Clients are told of a model that will be shut down, in the answer and in headers, and refused from that day on."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from storage.memory import MemoryStorage
from tests.integration.api.openai_client import client_of, newest, succeed, worked_on
from tests.integration.api.running_api import AVATAR, Tenant, new_tenant, running_api, settings_for

TODAY = datetime.now(UTC).date()
ENDS = TODAY + timedelta(days=10)
REPLICATE = '[[models]]\nprovider = "replicate"\nmodel = "openai/'


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("overrides") / "catalog.toml"
    path.write_text(
        f'{REPLICATE}gpt-image-2"\nshutdown = {ENDS}\nreplaced_by = "openai/gpt-image-2.5-flare"\n'
        f'{REPLICATE}gpt-image-1"\nshutdown = {TODAY}\n',
        "utf-8",
    )
    return path


@pytest.fixture(scope="module")
async def client_of_ending_models(api_database_url: str, overrides: Path) -> AsyncIterator[Tenant]:
    settings = settings_for(api_database_url, "127.0.0.1:9", catalog_overrides=overrides)
    async with running_api(settings, MemoryStorage()) as api, new_tenant(api) as tenant:
        yield tenant


async def test_a_request_for_a_model_that_ends_soon_is_accepted_with_a_warning(client_of_ending_models: Tenant) -> None:
    body = {**AVATAR, "model": "openai/gpt-image-2"}
    key = {"Idempotency-Key": "once-and-again"}

    first = await client_of_ending_models.client.post("/v1/generations", json=body, headers=key)
    again = await client_of_ending_models.client.post("/v1/generations", json=body, headers=key)

    for answer in (first, again):
        (warning,) = answer.json()["warnings"]
        assert (warning["code"], warning["shutdown"]) == ("model_ends", str(ENDS))
        assert warning["replaced_by"] == "openai/gpt-image-2.5-flare"
        assert parsedate_to_datetime(answer.headers["sunset"]).date() == ENDS
        assert answer.headers["deprecation"].startswith("@")


@pytest.mark.parametrize("form", ["b64_json", "url", "stream"])
async def test_openais_calls_are_warned_as_well(client_of_ending_models: Tenant, form: str) -> None:
    tenant = client_of_ending_models
    before = len(await tenant.generations())

    async def work() -> None:
        await succeed(tenant, await newest(tenant, before + 1))

    wanted = {"stream": True} if form == "stream" else {"response_format": form}
    async with client_of(tenant) as client, worked_on(work):
        answer = await client.images.with_raw_response.generate(
            prompt="a fox", model="openai/gpt-image-2", extra_body=wanted
        )

    assert parsedate_to_datetime(answer.headers["sunset"]).date() == ENDS
    assert answer.headers["deprecation"].startswith("@")
    assert f'"shutdown":"{ENDS}"' in answer.text.replace(": ", ":")


async def test_a_request_for_a_model_that_stays_has_no_warning(client_of_ending_models: Tenant) -> None:
    answer = await client_of_ending_models.client.post("/v1/generations", json=AVATAR)

    assert answer.json()["warnings"] == []
    assert "sunset" not in answer.headers


async def test_a_request_for_a_model_that_has_ended_is_refused(client_of_ending_models: Tenant) -> None:
    answer = await client_of_ending_models.client.post(
        "/v1/generations", json={**AVATAR, "model": "openai/gpt-image-1"}
    )

    assert answer.status_code == 422
    assert answer.json()["code"] == "model_retired"


async def test_a_parameter_that_the_named_model_lacks_is_refused_by_its_name(client_of_ending_models: Tenant) -> None:
    body = {"kind": "image", "prompt": "a fox", "model": "openai/gpt-image-2", "traits": {"seed": 7}}

    answer = await client_of_ending_models.client.post("/v1/generations", json=body)

    problem = answer.json()
    assert problem["code"] == "unsupported_parameter"
    assert "seed" in problem["detail"]


async def test_a_request_that_costs_more_than_it_may_is_refused_with_what_it_takes(
    client_of_ending_models: Tenant,
) -> None:
    answer = await client_of_ending_models.client.post("/v1/generations", json={**AVATAR, "max_cost_usd": "0.001"})

    problem = answer.json()
    assert problem["code"] == "too_expensive"
    assert "least_usd" in answer.text
