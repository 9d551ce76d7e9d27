"""What every provider must do when a purchase goes wrong, whoever the vendor: one suite for all of them."""

import asyncio
import base64
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from errors import (
    ConfigurationError,
    ModelGone,
    OutcomeUnknown,
    ProviderError,
    ProviderRejectedInput,
    ProviderUnreachable,
)
from providers import data_uri
from providers.base import FinishedPicture, ImageProvider, JobReport, Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.getimg import GetimgProvider
from providers.http import HttpSettings
from providers.openai_images import OpenAIImagesProvider
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from providers.wavespeed import WaveSpeedProvider
from tests.provider_server import Answer, HangUp, Reply, Request, Silence, json_reply, provider_server

CATALOG = Catalog.load()
KEY = "key-that-must-not-be-seen"
PATIENT_S = 60.0  # where a vendor answers
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR and so on \x00\x00\x00\x00IEND\xaeB`\x82"


def replicate(url: str, timeout_s: float = PATIENT_S) -> ImageProvider:
    quota = ReadQuota(60_000, burst=1000)
    return ReplicateProvider(
        base_url=url, token=SecretStr(KEY), catalog=CATALOG, reads=quota, submit_timeout_s=timeout_s
    )


def openai(url: str, timeout_s: float = PATIENT_S) -> ImageProvider:
    return OpenAIImagesProvider(base_url=f"{url}/v1", key=SecretStr(KEY), catalog=CATALOG, submit_timeout_s=timeout_s)


def wavespeed(url: str, timeout_s: float = PATIENT_S) -> ImageProvider:
    quota = ReadQuota(60_000, burst=1000)
    return WaveSpeedProvider(base_url=url, key=SecretStr(KEY), catalog=CATALOG, reads=quota, submit_timeout_s=timeout_s)


def getimg(url: str, timeout_s: float = PATIENT_S) -> ImageProvider:
    return GetimgProvider(base_url=url, key=SecretStr(KEY), catalog=CATALOG, answer_timeout_s=timeout_s)


@dataclass(frozen=True)
class Vendor:
    name: str
    model: str
    build: Callable[..., ImageProvider]
    accepted: dict[str, object]
    no_jobs: dict[str, object] = field(default_factory=lambda: {"results": [], "next": None})
    proves_absence: bool = False  # although what it lists shows no token: by listing nothing


VENDORS = [
    Vendor("replicate", "openai/gpt-image-2.5-flare", replicate, {"id": "abc", "status": "starting"}),
    Vendor("replicate", "stability-ai/sdxl", replicate, {"id": "abc", "status": "starting"}),
    Vendor(
        "openai", "gpt-image-2.5-flare", openai, {"created": 1, "data": [{"b64_json": base64.b64encode(PNG).decode()}]}
    ),
    Vendor("getimg", "seedream-5-lite", getimg, {"id": "g", "data": [{"url": data_uri.encode(PNG, "image/png")}]}),
    Vendor("getimg", "flux-schnell", getimg, {"image": base64.b64encode(PNG).decode(), "seed": 1, "cost": 0.003}),
    Vendor(
        "wavespeed",
        "wavespeed-ai/flux-schnell",
        wavespeed,
        {"code": 200, "message": "success", "data": {"id": "abc", "status": "created"}},
        no_jobs={"code": 200, "message": "success", "data": {"page": 1, "items": []}},
        proves_absence=True,
    ),
]
each_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


async def no_url() -> str | None:
    return None


async def unreadable() -> bytes:
    raise OSError


def purchase(vendor: Vendor, *references: ReferenceImage) -> Purchase:
    return Purchase(
        token="token-1",
        model=vendor.model,
        prompt="a fox",
        quality="medium",
        size=(1024, 1024),
        shape="square",
        references=references,
        deadline_s=60,
    )


@asynccontextmanager
async def calling(
    vendor: Vendor, answer: Answer, timeout_s: float = PATIENT_S
) -> AsyncIterator[tuple[ImageProvider, list[Request]]]:
    async with provider_server(lambda _: answer) as server:
        provider = vendor.build(server.url, timeout_s)
        try:
            yield provider, server.requests
        finally:
            await provider.close()


@each_vendor
async def test_an_accepted_purchase_is_one_request(vendor: Vendor) -> None:
    async with calling(vendor, json_reply(vendor.accepted, 201)) as (provider, requests):
        bought = await provider.submit(purchase(vendor))

    assert len(requests) == 1
    assert isinstance(bought, FinishedPicture if provider.synchronous else JobReport)


@each_vendor
async def test_a_port_that_nobody_listens_on_is_certainly_not_bought(vendor: Vendor) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        provider = vendor.build(f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(ProviderUnreachable):
            await provider.submit(purchase(vendor))
    await provider.close()


@each_vendor
async def test_a_name_that_does_not_resolve_is_certainly_not_bought(vendor: Vendor) -> None:
    provider = vendor.build("http://no-such-host.invalid")
    with pytest.raises(ProviderUnreachable):
        await provider.submit(purchase(vendor))
    await provider.close()


@each_vendor
async def test_a_failed_tls_handshake_is_certainly_not_bought(vendor: Vendor) -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    provider = vendor.build(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    with pytest.raises(ProviderUnreachable):
        await provider.submit(purchase(vendor))
    await provider.close()
    listener.close()


@each_vendor
async def test_a_process_that_was_paused_too_long_sends_nothing_any_more(vendor: Vendor) -> None:
    late = replace(purchase(vendor), first_byte_by=time.monotonic() - 0.001)
    async with calling(vendor, json_reply(vendor.accepted, 201)) as (provider, requests):
        with pytest.raises(ProviderUnreachable):
            await provider.submit(late)

    assert requests == []


@each_vendor
async def test_a_process_that_was_paused_before_the_body_does_not_know_what_arrived(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = iter([0.0, 2.0])  # before the head, and before the body
    monkeypatch.setattr("providers.purchase_call.time", SimpleNamespace(monotonic=lambda: next(readings)))
    async with calling(vendor, json_reply(vendor.accepted, 201)) as (provider, requests):
        with pytest.raises(OutcomeUnknown):
            await provider.submit(replace(purchase(vendor), first_byte_by=1.0))

    assert requests == []


@each_vendor
async def test_what_is_sent_in_time_is_bought(vendor: Vendor) -> None:
    timely = replace(purchase(vendor), first_byte_by=time.monotonic() + 60)
    async with calling(vendor, json_reply(vendor.accepted, 201)) as (provider, requests):
        await provider.submit(timely)

    assert len(requests) == 1


@each_vendor
async def test_a_reference_that_cannot_be_read_is_certainly_not_bought(vendor: Vendor) -> None:
    reference = ReferenceImage("image/png", 10, unreadable, no_url)
    async with calling(vendor, json_reply(vendor.accepted)) as (provider, requests):
        with pytest.raises(ProviderUnreachable):
            await provider.submit(purchase(vendor, reference))

    assert requests == []


@each_vendor
@pytest.mark.parametrize(
    ("changes", "expected"), [({"model": "somebody/else"}, ModelGone), ({"size": (9000, 9000)}, ProviderRejectedInput)]
)
async def test_what_the_catalog_does_not_have_is_never_sent(
    vendor: Vendor, changes: dict[str, Any], expected: type[ProviderError]
) -> None:
    async with calling(vendor, json_reply(vendor.accepted)) as (provider, requests):
        with pytest.raises(expected):
            await provider.submit(replace(purchase(vendor), **changes))

    assert requests == []


@each_vendor
@pytest.mark.parametrize(
    "answer",
    [
        HangUp(),
        Reply(200, b""),
        Reply(201, b"<html>"),
        Reply(201, b'{"id": "abc", "data": [', cut_after=10),
        Reply(202, b"[]"),
        Reply(302, b"", {"Location": "/elsewhere"}),
        Reply(408, b"{}"),
        Reply(500, b'{"error": {"message": "oh", "code": "server_error"}}'),
        Reply(502, b"<html>Bad gateway</html>"),
        Reply(503, b"{}"),
        Reply(524, b"<html>A timeout occurred</html>"),
    ],
    ids=repr,
)
async def test_after_the_request_has_left_a_failure_never_says_that_nothing_was_bought(
    vendor: Vendor, answer: Answer
) -> None:
    async with calling(vendor, answer) as (provider, requests):
        with pytest.raises(OutcomeUnknown):
            await provider.submit(purchase(vendor))

    assert len(requests) == 1


@each_vendor
async def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown(vendor: Vendor) -> None:
    for timeout_s in (0.3, 3, 30):  # a busy machine may need more of it to have the request there
        async with calling(vendor, Silence(), timeout_s) as (provider, requests):
            with pytest.raises((OutcomeUnknown, ProviderUnreachable)) as caught:
                await provider.submit(purchase(vendor))
        if requests:
            break

    assert caught.type is OutcomeUnknown
    assert len(requests) == 1


@each_vendor
async def test_a_preparation_that_takes_too_long_is_certainly_not_bought(vendor: Vendor) -> None:
    async def slow() -> bytes:
        await asyncio.Event().wait()
        return b""

    reference = ReferenceImage("image/png", 10, slow, no_url)
    async with calling(vendor, json_reply(vendor.accepted), timeout_s=0.2) as (provider, requests):
        with pytest.raises(ProviderUnreachable):
            await provider.submit(purchase(vendor, reference))

    assert requests == []


@each_vendor
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 429])
async def test_a_refusal_is_definite_and_costs_nothing(vendor: Vendor, status: int) -> None:
    async with calling(vendor, json_reply({"detail": "no", "error": {"message": "no"}}, status)) as (provider, _):
        with pytest.raises(ProviderError) as caught:
            await provider.submit(purchase(vendor))

    assert not isinstance(caught.value, OutcomeUnknown)
    assert caught.value.billed == "no"


@each_vendor
def test_whatever_bytes_come_back_the_error_is_one_of_ours(vendor: Vendor) -> None:
    next_answer: list[Answer] = [HangUp()]

    @settings(max_examples=150)
    @given(
        status=st.sampled_from([200, 201, 202, 301, 400, 422, 429, 500, 503]),
        body=st.binary(max_size=80),
        cut=st.booleans(),
    )
    def check(status: int, body: bytes, cut: bool) -> None:
        next_answer[0] = Reply(status, body, cut_after=len(body) // 2 if cut and body else None)
        with pytest.raises(ProviderError) as caught:
            runner.run(provider.submit(purchase(vendor)))
        if status < 400 or status >= 500 or (cut and body):
            assert isinstance(caught.value, OutcomeUnknown)

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        server = runner.run(stack.enter_async_context(provider_server(lambda _: next_answer[0])))
        provider = vendor.build(server.url)
        stack.push_async_callback(provider.close)
        check()
        runner.run(stack.aclose())


@each_vendor
async def test_the_errors_quote_neither_the_vendor_nor_the_address_nor_the_key(vendor: Vendor) -> None:
    said = "See https://vendor.example/billing for " + KEY
    body = {"detail": said, "title": said, "error": {"message": said, "code": said, "param": said}}
    for answer in (json_reply(body, 400), json_reply(body, 429), json_reply(body, 500), HangUp()):
        async with calling(vendor, answer) as (provider, _):
            with pytest.raises(ProviderError) as caught:
                await provider.submit(purchase(vendor))
            shown = f"{caught.value!r} {caught.value.detail} {json.dumps(caught.value.facts)} {provider!r}"

            assert "vendor.example" not in shown
            assert "127.0.0.1" not in shown
            assert KEY not in shown
            assert caught.value.__cause__ is None


@each_vendor
async def test_the_key_goes_into_the_header_and_nowhere_else(vendor: Vendor) -> None:
    async with calling(vendor, json_reply(vendor.accepted, 201)) as (provider, requests):
        await provider.submit(purchase(vendor))

    assert requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in requests[0].path
    assert KEY.encode() not in requests[0].body


@each_vendor
async def test_only_a_provider_that_lists_its_jobs_can_prove_that_there_is_none(vendor: Vendor) -> None:
    async with calling(vendor, json_reply(vendor.no_jobs)) as (provider, _):
        lost = await provider.find_lost("token-1", datetime.now(UTC))

    assert lost.report is None
    assert lost.conclusive is (CATALOG.provider(vendor.name).recoverable or vendor.proves_absence)


@each_vendor
def test_the_catalog_and_the_provider_agree_on_how_it_answers(vendor: Vendor) -> None:
    provider = vendor.build("http://127.0.0.1:1")

    assert provider.name == vendor.name
    assert provider.synchronous is CATALOG.provider(vendor.name).synchronous


@pytest.mark.parametrize("key", ["", " ", "two\nlines", "é"])
def test_a_key_that_no_vendor_gives_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenAIImagesProvider(key=SecretStr(key), catalog=CATALOG, http=HttpSettings())

    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://x", "api.openai.com", "http://"])
def test_a_base_url_without_scheme_or_host_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError):
        OpenAIImagesProvider(base_url=url, key=SecretStr(KEY), catalog=CATALOG)
