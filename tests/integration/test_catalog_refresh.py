"""The catalog against what the sandbox providers say of their models, as `diorama catalog refresh` sees it."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from errors import ProviderUnavailable, ProviderUnreachable
from providers.catalog import Catalog
from providers.catalog_refresh import CatalogRefresh, ModelSource, Reading
from providers.getimg_models import GetimgModels
from providers.openai_models import OpenAIModels
from providers.replicate_models import ReplicateModels
from providers.wavespeed_models import WaveSpeedModels
from tests.provider_server import Reply, provider_server
from tests.sandbox_server import SandboxServer, start_sandbox

ROOT = Path(__file__).parents[2]
CATALOG = Catalog.load()
SETTINGS = {
    "DIORAMA_DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1/none",
    "DIORAMA_STORE_ENDPOINT": "http://127.0.0.1:1",
    "DIORAMA_STORE_ACCESS_KEY": "none",
    "DIORAMA_STORE_SECRET_KEY": "none",
    "DIORAMA_API_KEY_PEPPER": "pepper-of-a-test",
    "DIORAMA_TOKEN_SECRET": "secret-of-a-test",
    "DIORAMA_REPLICATE_API_TOKEN": "r8_test",
    "DIORAMA_OPENAI_API_KEY": "sk-test",
    "DIORAMA_GETIMG_API_KEY": "key-test",
    "DIORAMA_WAVESPEED_API_KEY": "key-test",
}


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("refresh")) as server:
        yield server


def sources(sandbox: SandboxServer) -> dict[str, ModelSource]:
    key = SecretStr("key-test")
    return {
        "replicate": ReplicateModels(key=key, base_url=sandbox.replicate_url),
        "openai": OpenAIModels(key=key, base_url=sandbox.openai_url),
        "getimg": GetimgModels(key=key, base_url=sandbox.getimg_url),
        "wavespeed": WaveSpeedModels(key=key, base_url=sandbox.wavespeed_url),
    }


async def readings(catalog: Catalog, described_by: dict[str, ModelSource]) -> list[Reading]:
    async with CatalogRefresh(catalog, described_by) as refreshing:
        return [reading async for reading in refreshing.readings()]


async def test_nothing_that_the_shipped_rows_send_would_be_refused(sandbox: SandboxServer) -> None:
    read = await readings(CATALOG, sources(sandbox))
    told = [one for reading in read for one in reading.differences(reading.entry, reading.entry.checked)]

    assert {reading.entry.provider for reading in read} == {provider.name for provider in CATALOG.providers}
    assert [(reading.entry.model, reading.trouble) for reading in read if reading.trouble] == []
    assert [one for one in told if one.is_refused] == []
    assert [one for one in told if "shutdown" in one.found] == []
    assert [one for one in told if "USD" in one.what] == []
    old = [reading.entry for reading in read if reading.is_undescribed]
    assert {path.split("/")[1] for entry in old for path in entry.operation.values()} == {"v1"}
    assert {entry.provider for entry in old} == {"getimg"}


ROWS = [
    ("getimg", "seedream-5-lite", "flat_usd = 0.01", "0.035 USD, more than the 0.02 that are held", False),
    ("getimg", "seedream-5-lite", "max_references = 20", "takes 14 pictures, the catalog 20", True),
    ("getimg", "seedream-5-lite", 'input = { fixed = { resolution = "9K" } }', "takes 2K, 3K", True),
    ("wavespeed", "wavespeed-ai/flux-dev", "flat_usd = 0.05", "0.012 USD, and in the catalog 0.05", False),
    ("wavespeed", "bytedance/seedream-v4", "max_references = 11", "takes 10 pictures, the catalog 11", True),
    ("wavespeed", "wavespeed-ai/flux-dev", "traits = { steps = [1, 60] }", "takes 1 to 50, the catalog 1 to 60", True),
    ("wavespeed", "wavespeed-ai/flux-dev", 'input = { seed = "sed" }', "input sed: the model has no such input", True),
]


@pytest.mark.parametrize(("provider", "model", "change", "expected", "refused"), ROWS)
async def test_what_a_list_of_models_says_otherwise_is_told(
    sandbox: SandboxServer, *, provider: str, model: str, change: str, expected: str, refused: bool
) -> None:
    rows = f'[[models]]\nprovider = "{provider}"\nmodel = "{model}"\n{change}\n'
    read = await readings(Catalog.load_with(rows), {provider: sources(sandbox)[provider]})
    told = [
        one
        for reading in read
        if reading.entry.model == model
        for one in reading.differences(reading.entry, reading.entry.checked)
    ]

    assert [one.is_refused for one in told if expected in one.what] == [refused], [one.what for one in told]


@pytest.mark.parametrize(("provider", "model"), [("getimg", "seedream-5-lite"), ("wavespeed", "wavespeed-ai/flux-dev")])
async def test_a_model_that_is_in_no_list_any_more_is_gone(sandbox: SandboxServer, provider: str, model: str) -> None:
    former = CATALOG.entry(provider, model).model_copy(update={"model": f"{model}-of-old"})
    (reading,) = await readings(Catalog(CATALOG.providers, (former,)), {provider: sources(sandbox)[provider]})

    assert reading.is_gone
    assert [one.is_refused for one in reading.differences(former, former.checked)] == [True]


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"code": 200, "data": [1]}', b"[1]"])
@pytest.mark.parametrize("source", [GetimgModels, WaveSpeedModels])
async def test_a_list_that_is_none_is_no_word_against_a_model(
    source: type[GetimgModels | WaveSpeedModels], body: bytes
) -> None:
    provider = "getimg" if source is GetimgModels else "wavespeed"
    async with provider_server(lambda _: Reply(200, body)) as server:
        read = await readings(CATALOG, {provider: source(key=SecretStr("key"), base_url=server.url)})

    asked = [reading for reading in read if not reading.is_undescribed]
    assert asked
    assert all(isinstance(reading.trouble, ProviderUnavailable) for reading in asked)


async def test_a_version_that_the_provider_does_not_have_is_a_refusal(sandbox: SandboxServer) -> None:
    rows = '[[models]]\nprovider = "replicate"\nmodel = "stability-ai/sdxl"\nversion = "0000"\n'
    read = await readings(Catalog.load_with(rows), sources(sandbox))
    (told,) = [
        one
        for reading in read
        if reading.entry.model == "stability-ai/sdxl"
        for one in reading.differences(reading.entry, reading.entry.checked)
    ]

    assert told.is_refused
    assert "does not have it" in told.what


async def test_a_provider_that_cannot_be_asked_is_no_difference() -> None:
    nowhere = "http://127.0.0.1:9"
    read = await readings(CATALOG, {"replicate": ReplicateModels(key=SecretStr("r8"), base_url=nowhere)})

    assert read
    assert all(isinstance(reading.trouble, ProviderUnreachable) for reading in read)
    assert [one for reading in read for one in reading.differences(reading.entry, reading.entry.checked)] == []


def run_refresh(
    sandbox: SandboxServer, folder: Path, own: str, *arguments: str, without: tuple[str, ...] = ()
) -> tuple[int, list[dict[str, object]]]:
    path = folder / "catalog.toml"
    if own:
        path.write_text(own, "utf-8")
    environment = {
        **os.environ,
        **SETTINGS,
        "DIORAMA_REPLICATE_BASE_URL": sandbox.replicate_url,
        "DIORAMA_OPENAI_BASE_URL": sandbox.openai_url,
        "DIORAMA_GETIMG_BASE_URL": sandbox.getimg_url,
        "DIORAMA_WAVESPEED_BASE_URL": sandbox.wavespeed_url,
        "DIORAMA_CATALOG_OVERRIDES": str(path),
    }
    for variable in without:
        del environment[variable]
    command = [sys.executable, "-m", "cli", "catalog", "refresh", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def differences(told: list[dict[str, object]]) -> list[dict[str, object]]:
    return [one for one in told if one["type"] == "difference"]


def test_the_command_finds_what_the_providers_say_and_writes_it_once(sandbox: SandboxServer, tmp_path: Path) -> None:
    wrong = '[[models]]\nprovider = "openai"\nmodel = "gpt-image-1.5"\nshutdown = 2027-06-01\n'

    exit_code, told = run_refresh(sandbox, tmp_path, wrong)
    assert exit_code == 0
    assert [one["model"] for one in differences(told) if "shut down" in str(one["what"])] == ["gpt-image-1.5"]

    assert run_refresh(sandbox, tmp_path, "", "--write")[0] == 0
    _, again = run_refresh(sandbox, tmp_path, "")
    assert [one for one in differences(again) if "shut down" in str(one["what"])] == []
    written = (tmp_path / "catalog.toml").read_text("utf-8")
    assert written.startswith(wrong)
    assert str(Catalog.load(tmp_path / "catalog.toml").entry("openai", "gpt-image-1.5").shutdown) == "2026-12-01"


def test_the_command_fails_when_something_that_is_sent_would_be_refused(sandbox: SandboxServer, tmp_path: Path) -> None:
    wrong = (
        '[[models]]\nprovider = "replicate"\nmodel = "openai/gpt-image-2"\ninput = { fixed = { colour = "blue" } }\n'
    )

    exit_code, told = run_refresh(sandbox, tmp_path, wrong)

    assert exit_code == 1
    assert "input colour: the model has no such input" in [one["what"] for one in differences(told) if one["refused"]]


def test_the_command_names_who_was_not_asked_and_which_models_nobody_describes(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    exit_code, told = run_refresh(
        sandbox, tmp_path, "", without=("DIORAMA_WAVESPEED_API_KEY", "DIORAMA_OPENAI_API_KEY")
    )

    assert exit_code == 0
    unasked = {str(one["provider"]): one["key_variable"] for one in told if one["type"] == "unasked"}
    assert unasked == {"wavespeed": "DIORAMA_WAVESPEED_API_KEY", "openai": "DIORAMA_OPENAI_API_KEY"}
    assert "flux-schnell" in [one["model"] for one in told if one["type"] == "undescribed"]
