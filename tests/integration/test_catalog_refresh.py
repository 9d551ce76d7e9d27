"""The catalog against what the sandbox providers say of their models, as `diorama catalog refresh` sees it."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from errors import ProviderUnreachable
from providers.catalog import Catalog
from providers.catalog_refresh import CatalogRefresh, ModelSource, OpenAIModels, Reading, ReplicateModels
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
}


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("refresh")) as server:
        yield server


def sources(replicate_url: str, openai_url: str) -> dict[str, ModelSource]:
    return {
        "replicate": ReplicateModels(token=SecretStr("r8_test"), base_url=replicate_url),
        "openai": OpenAIModels(key=SecretStr("sk-test"), base_url=openai_url),
    }


async def readings(catalog: Catalog, described_by: dict[str, ModelSource]) -> list[Reading]:
    async with CatalogRefresh(catalog, described_by) as refreshing:
        return [reading async for reading in refreshing.readings()]


async def test_nothing_that_the_shipped_rows_send_would_be_refused(sandbox: SandboxServer) -> None:
    read = await readings(CATALOG, sources(sandbox.replicate_url, sandbox.openai_url))
    told = [one for reading in read for one in reading.differences(reading.entry, reading.entry.checked)]

    assert {reading.entry.provider for reading in read} == {"replicate", "openai"}
    assert [(reading.entry.model, reading.trouble) for reading in read if reading.trouble] == []
    assert [one for one in told if one.is_refused] == []
    assert [one for one in told if "shutdown" in one.found] == []


async def test_a_version_that_the_provider_does_not_have_is_a_refusal(sandbox: SandboxServer) -> None:
    rows = '[[models]]\nprovider = "replicate"\nmodel = "stability-ai/sdxl"\nversion = "0000"\n'
    read = await readings(Catalog.load_with(rows), sources(sandbox.replicate_url, sandbox.openai_url))
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
    read = await readings(CATALOG, {"replicate": ReplicateModels(token=SecretStr("r8"), base_url=nowhere)})

    assert read
    assert all(isinstance(reading.trouble, ProviderUnreachable) for reading in read)
    assert [one for reading in read for one in reading.differences(reading.entry, reading.entry.checked)] == []


def run_refresh(sandbox: SandboxServer, folder: Path, own: str, *arguments: str) -> tuple[int, list[dict[str, object]]]:
    path = folder / "catalog.toml"
    if own:
        path.write_text(own, "utf-8")
    environment = {
        **os.environ,
        **SETTINGS,
        "DIORAMA_REPLICATE_BASE_URL": sandbox.replicate_url,
        "DIORAMA_OPENAI_BASE_URL": sandbox.openai_url,
        "DIORAMA_CATALOG_OVERRIDES": str(path),
    }
    command = [sys.executable, "-m", "cli", "catalog", "refresh", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_command_finds_what_the_providers_say_and_writes_it_once(sandbox: SandboxServer, tmp_path: Path) -> None:
    wrong = '[[models]]\nprovider = "openai"\nmodel = "gpt-image-1.5"\nshutdown = 2027-06-01\n'

    exit_code, told = run_refresh(sandbox, tmp_path, wrong)
    assert exit_code == 0
    assert [one["model"] for one in told if "shut down" in str(one["what"])] == ["gpt-image-1.5"]

    assert run_refresh(sandbox, tmp_path, "", "--write")[0] == 0
    _, again = run_refresh(sandbox, tmp_path, "")
    assert [one for one in again if "shut down" in str(one["what"])] == []
    written = (tmp_path / "catalog.toml").read_text("utf-8")
    assert written.startswith(wrong)
    assert str(Catalog.load(tmp_path / "catalog.toml").entry("openai", "gpt-image-1.5").shutdown) == "2026-12-01"


def test_the_command_fails_when_something_that_is_sent_would_be_refused(sandbox: SandboxServer, tmp_path: Path) -> None:
    wrong = (
        '[[models]]\nprovider = "replicate"\nmodel = "openai/gpt-image-2"\ninput = { fixed = { colour = "blue" } }\n'
    )

    exit_code, told = run_refresh(sandbox, tmp_path, wrong)

    assert exit_code == 1
    assert "input colour: the model has no such input" in [one["what"] for one in told if one["refused"]]
