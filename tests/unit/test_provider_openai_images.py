"""What OpenAI is sent, for a picture and for a free question."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256

import pytest
from pydantic import SecretStr

from errors import ModelGone, ProviderBusy, ProviderCredentials, ProviderError, ProviderUnavailable, ProviderUnreachable
from providers.base import Purchase, ReferenceImage, RemoteFile
from providers.catalog import Catalog
from providers.openai_checks import Moderation, OpenAIChecks
from providers.openai_images import OpenAIImagesProvider
from tests.provider_server import Reply, Script, Server, json_reply, provider_server

PNG = b"\x89PNG\r\n\x1a\n and so on"
PICTURE = {"created": 1, "data": [{"b64_json": base64.b64encode(PNG).decode()}]}
PURCHASE = Purchase(
    token="token-1",
    model="gpt-image-2.5-flare",
    prompt="a fox",
    quality="high",
    size=(1920, 1080),
    shape="wide",
    references=(),
    deadline_s=90,
)
CATEGORIES = {"hate": False, "sexual": True, "self-harm/intent": True, "violence": False}


@asynccontextmanager
async def openai(script: Script) -> AsyncIterator[tuple[OpenAIImagesProvider, Server]]:
    async with provider_server(script) as server:
        provider = OpenAIImagesProvider(base_url=f"{server.url}/v1", key=SecretStr("secret"), catalog=Catalog.load())
        try:
            yield provider, server
        finally:
            await provider.close()


@asynccontextmanager
async def checks(script: Script) -> AsyncIterator[tuple[OpenAIChecks, Server]]:
    async with provider_server(script) as server:
        asked = OpenAIChecks(base_url=f"{server.url}/v1", key=SecretStr("secret"), repeats=0)
        try:
            yield asked, server
        finally:
            await asked.close()


def moderation(**result: object) -> Reply:
    row = {"flagged": True, "categories": CATEGORIES, "category_scores": {}, "category_applied_input_types": {}}
    return json_reply({"id": "m", "model": "omni-moderation-latest", "results": [{**row, **result}]})


def reference(body: bytes) -> ReferenceImage:
    async def read() -> bytes:
        return body

    async def link() -> str | None:
        return "https://store.example/never-used.png"

    return ReferenceImage("image/webp", len(body), read, link)


async def test_a_picture_from_words_is_one_json_request() -> None:
    async with openai(lambda _: json_reply(PICTURE)) as (provider, server):
        picture = await provider.submit(PURCHASE)

    sent = server.requests[0]
    assert picture.body == PNG
    assert (sent.method, sent.path) == ("POST", "/v1/images/generations")
    assert sent.json() == {
        "model": "gpt-image-2.5-flare",
        "prompt": "a fox",
        "quality": "high",
        "size": "1920x1088",
        "safety_identifier": sha256(b"token-1").hexdigest(),
        "output_format": "png",
        "n": 1,
    }


async def test_a_picture_from_pictures_is_one_form_with_every_file() -> None:
    two = (reference(b"first"), reference(b"second"))
    async with openai(lambda _: json_reply(PICTURE)) as (provider, server):
        await provider.submit(replace(PURCHASE, references=two))

    sent = server.requests[0]
    assert sent.path == "/v1/images/edits"
    assert sent.headers["content-type"].startswith("multipart/form-data")
    assert sent.body.count(b'name="image[]"') == 2
    assert b"first" in sent.body
    assert b'filename="reference-1.webp"' in sent.body
    for field in (b"model", b"prompt", b"size", b"quality", b"n", b"output_format", b"safety_identifier"):
        assert b'name="%s"' % field in sent.body


@pytest.mark.parametrize(
    ("model", "path"), [(None, "/v1/models"), ("gpt-image-2.5-flare", "/v1/models/gpt-image-2.5-flare")]
)
async def test_a_probe_looks_at_what_costs_nothing(model: str | None, path: str) -> None:
    async with openai(lambda _: json_reply({"object": "list", "data": []})) as (provider, server):
        await provider.probe(model)

    assert [(sent.method, sent.path) for sent in server.requests] == [("GET", path)]
    assert server.requests[0].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, ProviderCredentials), (404, ModelGone), (429, ProviderBusy), (503, ProviderUnavailable)],
)
async def test_a_probe_meets_what_a_purchase_would_meet(status: int, error: type[ProviderError]) -> None:
    async with openai(lambda _: json_reply({"error": {"message": "no"}}, status)) as (provider, _):
        with pytest.raises(error):
            await provider.probe("gpt-image-2.5-flare")


async def test_a_probe_of_nobody_says_that_nobody_is_there() -> None:
    async with openai(lambda _: json_reply({})) as (provider, server):
        gone = server.url
    provider = OpenAIImagesProvider(base_url=f"{gone}/v1", key=SecretStr("secret"), catalog=Catalog.load())
    with pytest.raises(ProviderUnreachable):
        await provider.probe()
    await provider.close()


async def test_there_is_no_job_to_ask_about() -> None:
    async with openai(lambda _: json_reply(PICTURE)) as (provider, server):
        for call in (
            provider.poll("x"),
            provider.cancel("x"),
            provider.fetch_output(RemoteFile("data:,x"), max_bytes=9),
        ):
            with pytest.raises(ProviderError, match="no job"):
                await call
        lost = await provider.find_lost("token-1", datetime.now(UTC))

    assert (lost.report, lost.conclusive) == (None, False)
    assert server.requests == []


async def test_a_moderation_names_what_it_flagged() -> None:
    async with checks(lambda _: moderation()) as (asked, server):
        found = await asked.moderate("a fox", [("image/png", b"xyz")])

    assert found == Moderation(True, ("self-harm/intent", "sexual"))
    assert server.requests[0].path == "/v1/moderations"
    assert server.requests[0].json()["input"] == [
        {"type": "text", "text": "a fox"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,eHl6"}},
    ]


async def test_a_harmless_prompt_is_not_flagged() -> None:
    async with checks(lambda _: moderation(flagged=False, categories=dict.fromkeys(CATEGORIES, False))) as (asked, _):
        assert await asked.moderate("a fox") == Moderation(False)


@pytest.mark.parametrize(("announced", "expected"), [("2026-12-01", date(2026, 12, 1)), (None, None), ("", None)])
async def test_a_models_shutdown_date_is_looked_up(announced: str | None, expected: date | None) -> None:
    body = {"id": "gpt-image-1.5", "created": 1, "object": "model", "owned_by": "openai", "shutdown_date": announced}
    async with checks(lambda _: json_reply(body)) as (asked, server):
        assert await asked.shutdown_date("gpt-image-1.5") == expected

    assert server.requests[0].path == "/v1/models/gpt-image-1.5"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (json_reply({"error": {"code": "model_not_found", "message": "gone"}}, 404), ModelGone),
        (json_reply({"error": {"code": "invalid_api_key", "message": "sk-..."}}, 401), ProviderCredentials),
        (json_reply({"error": {"code": "rate_limit_exceeded", "message": ""}}, 429), ProviderBusy),
        (json_reply({}, 503), ProviderUnavailable),
        (Reply(200, b"<html>", {"Content-Type": "application/json"}), ProviderUnavailable),
        (Reply(200, b"<html>", {"Content-Type": "text/html"}), ProviderUnavailable),
        (json_reply({"shutdown_date": "soon", "results": None}), ProviderUnavailable),
    ],
)
async def test_free_questions_fail_in_our_own_words(reply: Reply, expected: type[ProviderError]) -> None:
    async with checks(lambda _: reply) as (asked, _):
        with pytest.raises(expected):
            await asked.shutdown_date("gpt-image-1")
        with pytest.raises(expected):
            await asked.moderate("a fox")


async def test_a_free_question_to_nobody_says_that_nobody_is_there() -> None:
    asked = OpenAIChecks(base_url="http://127.0.0.1:1/v1", key=SecretStr("secret"), repeats=0)
    with pytest.raises(ProviderUnreachable):
        await asked.moderate("a fox")
    await asked.close()
