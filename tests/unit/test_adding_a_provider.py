"""The worked example of docs/adding-a-provider.md, taken from the page as it stands and run."""

import importlib.util
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr

from contracts.wishes import PictureTraits
from errors import ModelGone, OutcomeUnknown, ProviderError, ProviderQuota
from providers.base import ImageProvider, JobReport, Purchase
from providers.catalog import Catalog
from providers.read_quota import ReadQuota
from tests.provider_server import Answer, Reply, Request, json_reply, provider_server

PAGE = (Path(__file__).parents[2] / "docs/adding-a-provider.md").read_text("utf-8")
ERRORS, PROTOCOL = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(ROWS,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
CATALOG = Catalog.load_with(ROWS)
ENTRY = CATALOG.entry("pixelworks", "canvas-2")
NOW = datetime.now(UTC).isoformat()
PURCHASE = Purchase(
    token="token-1",
    model="canvas-2",
    prompt="a fox",
    quality="medium",
    size=(1024, 1024),
    shape="square",
    references=(),
    deadline_s=60,
    traits=PictureTraits(seed=7, output_format="webp"),
)


@pytest.fixture
def protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example's module, with its refusals beside it."""
    with monkeypatch.context() as while_it_runs:
        for name, text in (("pixelworks_errors", ERRORS), ("pixelworks", PROTOCOL)):
            path = tmp_path / f"{name}.py"
            path.write_text(text, "utf-8")
            spec = importlib.util.spec_from_file_location(f"providers.{name}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            while_it_runs.setitem(sys.modules, f"providers.{name}", module)
            spec.loader.exec_module(module)
        yield module


@asynccontextmanager
async def answering(protocol: ModuleType, answer: Answer) -> AsyncIterator[tuple[ImageProvider, list[Request]]]:
    async with provider_server(lambda _: answer) as server:
        quota = ReadQuota(60_000, burst=1000)
        provider = protocol.PixelworksProvider(base_url=server.url, key=SecretStr("k"), catalog=CATALOG, reads=quota)
        try:
            yield provider, server.requests
        finally:
            await provider.close()


async def test_the_example_buys_with_one_request_in_which_no_wish_is_lost(protocol: ModuleType) -> None:
    async with answering(protocol, json_reply({"job": "j-1", "state": "waiting"}, 201)) as (provider, requests):
        report = await provider.submit(PURCHASE)

    (request,) = requests
    assert isinstance(report, JobReport)
    assert (report.job_id, report.state) == ("j-1", "waiting")
    assert request.path == ENTRY.operation["text_to_image"]
    assert json.loads(request.body) == {
        "text": "a fox",
        "w": 1024,
        "h": 1024,
        "seed": 7,
        "file_type": "webp",
        "reference": "token-1",
        "pictures": 1,
    }


async def test_the_example_finds_a_lost_purchase_by_its_token(protocol: ModuleType) -> None:
    row = {"job": "j-1", "state": "done", "url": "https://files.example/1.png", "reference": "token-1", "at": NOW}
    async with answering(protocol, json_reply({"results": [row], "next": None})) as (provider, _):
        lost = await provider.find_lost("token-1", datetime.now(UTC))
        nobodys = await provider.find_lost("token-2", datetime.now(UTC))

    assert lost.report is not None
    assert lost.report.state == "succeeded"
    assert (nobodys.report, nobodys.conclusive) == (None, True)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(Reply(500, b"{}"), OutcomeUnknown), (Reply(201, b"<html>"), OutcomeUnknown), (Reply(402, b"{}"), ProviderQuota)],
    ids=repr,
)
async def test_the_example_says_what_a_refusal_means_for_the_money(
    protocol: ModuleType, answer: Answer, expected: type[ProviderError]
) -> None:
    async with answering(protocol, answer) as (provider, _):
        with pytest.raises(expected):
            await provider.submit(PURCHASE)


async def test_the_examples_probe_tells_a_model_that_is_gone(protocol: ModuleType) -> None:
    async with answering(protocol, Reply(404, b"{}")) as (provider, _):
        with pytest.raises(ModelGone):
            await provider.probe("canvas-2")
