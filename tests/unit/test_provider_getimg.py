"""What getimg is sent, how a picture comes home that lies elsewhere, and what a probe asks."""

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.wishes import PictureTraits
from errors import (
    DeadlineExceeded,
    ModelGone,
    OutputCorrupt,
    OutputExpired,
    ProviderBusy,
    ProviderCredentials,
    ProviderError,
    ProviderQuota,
    ProviderRejectedInput,
    ProviderUnavailable,
    ProviderUnreachable,
)
from providers.base import Purchase, ReferenceImage, RemoteFile
from providers.catalog import Catalog
from providers.getimg import GetimgProvider
from tests.provider_server import Answer, HangUp, Reply, Request, Script, Server, Silence, json_reply, provider_server

KEY = "sk_secret"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR and so on \x00\x00\x00\x00IEND\xaeB`\x82"
PURCHASE = Purchase(
    token="token-1",
    model="seedream-5-lite",
    prompt="a fox",
    quality="medium",
    size=(1920, 1080),
    shape="wide",
    references=(),
    deadline_s=90,
)
IN_BASE64 = json_reply({"image": base64.b64encode(PNG).decode(), "seed": 1, "cost": 0.003})


@asynccontextmanager
async def calling(
    script: Script, *, answer_s: float = 5.0, download_s: float = 5.0
) -> AsyncIterator[tuple[GetimgProvider, Server]]:
    async with provider_server(script) as server:
        provider = GetimgProvider(
            base_url=server.url,
            key=SecretStr(KEY),
            catalog=Catalog.load(),
            answer_timeout_s=answer_s,
            download_timeout_s=download_s,
            download_pauses_s=(0.01, 0.01),
        )
        try:
            yield provider, server
        finally:
            await provider.close()


def reference(body: bytes, url: str | None = None, size_bytes: int | None = None) -> ReferenceImage:
    async def read() -> bytes:
        return body

    async def link() -> str | None:
        return url

    return ReferenceImage("image/webp", len(body) if size_bytes is None else size_bytes, read, link)


def elsewhere(request: Request, download: Answer) -> Answer:
    """A create's answer that names a picture at the same server; `download` is what the picture's address answers."""
    if request.method == "GET":
        return download
    url = f"http://{request.headers['host']}/media/picture.png"
    return json_reply({"status": "completed", "data": [{"url": url}], "usage": {"total_cost": 0.035}})


async def sent(purchase: Purchase) -> Request:
    async with calling(lambda request: IN_BASE64) as (provider, server):
        await provider.submit(purchase)
    return server.requests[0]


async def test_version_2_is_asked_by_aspect_ratio_and_resolution() -> None:
    request = await sent(PURCHASE)

    assert (request.method, request.path) == ("POST", "/v2/images/generations")
    assert request.json() == {
        "model": "seedream-5-lite",
        "prompt": "a fox",
        "aspect_ratio": "16:9",
        "resolution": "2K",
        "output_format": "png",
    }


async def test_version_2_takes_pictures_as_data_uris_in_their_order() -> None:
    two = (reference(b"first"), reference(b"second", "https://store.example/never-used.png"))
    request = await sent(replace(PURCHASE, references=two, capability="image_to_image"))

    assert request.json()["images"] == [
        {"url": "data:image/webp;base64,Zmlyc3Q="},
        {"url": "data:image/webp;base64,c2Vjb25k"},
    ]


async def test_a_picture_that_is_too_large_goes_by_its_public_url() -> None:
    large = reference(b"", "https://store.example/large.png", size_bytes=11 * 2**20)
    request = await sent(replace(PURCHASE, references=(large,), capability="image_to_image"))

    assert request.json()["images"] == [{"url": "https://store.example/large.png"}]


async def test_pictures_that_do_not_fit_into_one_request_together_go_by_url_as_soon_as_it_is_full() -> None:
    sizes = [9 * 2**20] * 3
    many = tuple(reference(b"x" * size, f"https://store.example/{number}.png") for number, size in enumerate(sizes))
    request = await sent(replace(PURCHASE, references=many, capability="image_to_image"))

    assert [image["url"][:30] for image in request.json()["images"]] == [
        "data:image/webp;base64,eHh4eHh",
        "data:image/webp;base64,eHh4eHh",
        "https://store.example/2.png",
    ]
    assert len(request.body) < 25 * 2**20


@pytest.mark.parametrize("url", [None, "http://store.local/large.png"])
async def test_a_picture_that_is_too_large_and_has_no_public_url_is_refused_before_anything_is_sent(
    url: str | None,
) -> None:
    large = reference(b"", url, size_bytes=11 * 2**20)
    async with calling(lambda _: IN_BASE64) as (provider, server):
        with pytest.raises(ProviderRejectedInput):
            await provider.submit(replace(PURCHASE, references=(large,), capability="image_to_image"))

    assert server.requests == []


@pytest.mark.parametrize(
    ("changes", "path", "body"),
    [
        (
            {"model": "seedream-v4", "traits": PictureTraits(seed=7)},
            "/v1/seedream-v4/text-to-image",
            {"prompt": "a fox", "aspect_ratio": "16:9", "seed": 7, "response_format": "b64"},
        ),
        (
            {"model": "flux-schnell", "traits": PictureTraits(steps=4, output_format="jpeg")},
            "/v1/flux-schnell/text-to-image",
            {
                "prompt": "a fox",
                "width": 1280,
                "height": 768,
                "steps": 4,
                "output_format": "jpeg",
                "response_format": "b64",
            },
        ),
        (
            {
                "model": "stable-diffusion-xl",
                "capability": "image_variation",
                "references": (reference(b"first"),),
                "traits": PictureTraits(strength=0.4, guidance=7.5, negative_prompt="text"),
            },
            "/v1/stable-diffusion-xl/image-to-image",
            {
                "model": "stable-diffusion-xl-v1-0",
                "prompt": "a fox",
                "negative_prompt": "text",
                "image": "Zmlyc3Q=",
                "strength": 0.4,
                "guidance": 7.5,
                "output_format": "png",
                "response_format": "b64",
            },
        ),
        (
            {
                "model": "real-esrgan-4x",
                "capability": "upscale",
                "references": (reference(b"first"),),
                "traits": PictureTraits(scale=4),
                "size": None,
            },
            "/v1/enhancements/upscale",
            {
                "model": "real-esrgan-4x",
                "image": "Zmlyc3Q=",
                "scale": 4,
                "output_format": "png",
                "response_format": "b64",
            },
        ),
        (
            {"model": "gfpgan-v1-3", "capability": "face_restore", "references": (reference(b"first"),), "size": None},
            "/v1/enhancements/face-fix",
            {"model": "gfpgan-v1-3", "image": "Zmlyc3Q=", "output_format": "png", "response_format": "b64"},
        ),
    ],
)
async def test_version_1_is_asked_at_a_path_of_its_own_with_the_models_own_fields(
    changes: dict[str, Any], path: str, body: dict[str, Any]
) -> None:
    request = await sent(replace(PURCHASE, **changes))

    assert request.path == path
    assert request.json() == body


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "flux-schnell", "capability": "upscale"},
        {
            "model": "stable-diffusion-xl",
            "capability": "image_variation",
            "references": (reference(b"one"), reference(b"two")),
        },
    ],
)
async def test_what_a_model_cannot_do_is_never_sent(changes: dict[str, Any]) -> None:
    async with calling(lambda _: IN_BASE64) as (provider, server):
        with pytest.raises(ProviderRejectedInput):
            await provider.submit(replace(PURCHASE, **changes))

    assert server.requests == []


async def test_a_picture_that_lies_elsewhere_is_brought_home_with_what_it_cost() -> None:
    async with calling(lambda request: elsewhere(request, Reply(200, PNG))) as (provider, server):
        picture = await provider.submit(PURCHASE)

    assert (picture.body, picture.content_type, picture.cost_usd) == (PNG, "image/png", Decimal("0.035"))
    assert [request.method for request in server.requests] == ["POST", "GET"]


async def test_the_key_is_shown_to_the_api_and_not_to_the_host_of_the_pictures() -> None:
    async with provider_server(lambda _: Reply(200, PNG)) as media:
        answer = json_reply({"data": [{"url": f"{media.url}/picture.png"}]})
        async with calling(lambda _: answer) as (provider, server):
            await provider.submit(PURCHASE)

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in media.requests[0].headers


async def test_a_download_that_fails_at_first_is_tried_again_and_nothing_is_bought_again() -> None:
    downloads: Iterator[Answer] = iter([HangUp(), Reply(503), Reply(200, PNG)])

    async with calling(
        lambda request: elsewhere(request, next(downloads) if request.method == "GET" else HangUp())
    ) as (provider, server):
        picture = await provider.submit(PURCHASE)

    assert picture.body == PNG
    assert [request.method for request in server.requests] == ["POST", "GET", "GET", "GET"]


async def test_a_picture_that_arrives_damaged_is_fetched_again_and_nothing_is_bought_again() -> None:
    downloads: Iterator[Answer] = iter([Reply(200, PNG[:-1]), Reply(200, PNG)])

    async with calling(
        lambda request: elsewhere(request, next(downloads) if request.method == "GET" else HangUp())
    ) as (provider, server):
        picture = await provider.submit(PURCHASE)

    assert picture.body == PNG
    assert [request.method for request in server.requests] == ["POST", "GET", "GET"]


async def test_a_picture_that_stays_damaged_is_handed_on_as_it_is() -> None:
    async with calling(lambda request: elsewhere(request, Reply(200, PNG[:-1]))) as (provider, server):
        picture = await provider.submit(PURCHASE)

    assert picture.body == PNG[:-1]
    assert [request.method for request in server.requests].count("POST") == 1


@pytest.mark.parametrize(
    ("download", "expected"),
    [
        (Reply(404), OutputExpired),
        (Reply(403), OutputExpired),
        (Reply(200, b""), OutputCorrupt),
        (Reply(503), ProviderUnavailable),
        (Reply(429, b"", {"Retry-After": "1"}), ProviderUnavailable),
        (Reply(200, PNG, cut_after=4), ProviderUnavailable),
        (HangUp(), ProviderUnavailable),
    ],
)
async def test_a_paid_picture_that_cannot_be_downloaded_is_never_taken_for_unpaid_or_to_be_bought_again_at_once(
    download: Answer, expected: type[ProviderError]
) -> None:
    async with calling(lambda request: elsewhere(request, download)) as (provider, server):
        with pytest.raises(expected) as caught:
            await provider.submit(PURCHASE)

    assert type(caught.value) is expected
    assert caught.value.billed == "yes"
    assert [request.method for request in server.requests].count("POST") == 1


async def test_a_host_of_pictures_that_cannot_be_reached_leaves_the_picture_paid() -> None:
    answer = json_reply({"data": [{"url": "http://127.0.0.1:1/picture.png"}]})
    async with calling(lambda _: answer) as (provider, _):
        with pytest.raises(ProviderUnavailable) as caught:
            await provider.submit(PURCHASE)

    assert caught.value.billed == "yes"
    assert caught.value.facts["reason"] == ProviderUnreachable.code


async def test_a_download_that_does_not_end_in_time_leaves_the_picture_paid() -> None:
    async with calling(lambda request: elsewhere(request, Silence()), download_s=0.2) as (provider, _):
        with pytest.raises(ProviderUnavailable) as caught:
            await provider.submit(PURCHASE)

    assert caught.value.billed == "yes"


async def test_a_purchase_lasts_no_longer_than_its_two_limits_together() -> None:
    async with calling(lambda _: IN_BASE64, answer_s=3, download_s=2) as (provider, _):
        assert provider.submit_timeout_s == 5


async def test_a_picture_that_its_caller_wants_no_later_is_given_up_for_good() -> None:
    async with calling(lambda _: Silence()) as (provider, _):
        with pytest.raises(DeadlineExceeded) as caught:
            await provider.submit(replace(PURCHASE, deadline_s=1))

    assert caught.value.billed == "unknown"


async def test_there_is_no_job_to_ask_about() -> None:
    async with calling(lambda _: IN_BASE64) as (provider, server):
        for call in (
            provider.poll("x"),
            provider.cancel("x"),
            provider.fetch_output(RemoteFile("data:,x"), max_bytes=9),
        ):
            with pytest.raises(ProviderError, match="no job"):
                await call
        lost = await provider.find_lost("token-1", datetime.now(UTC))
        listed = [job async for job in provider.list_jobs(datetime.now(UTC))]

    assert (lost.report, lost.conclusive, listed) == (None, False, [])
    assert server.requests == []


@pytest.mark.parametrize(
    ("model", "paths"),
    [
        (None, ["/v2/billing/balance"]),
        ("seedream-5-lite", ["/v2/billing/balance", "/v2/models/seedream-5-lite"]),
        ("flux-schnell", ["/v1/account/balance"]),
    ],
)
async def test_a_probe_asks_for_what_costs_nothing(model: str | None, paths: list[str]) -> None:
    async with calling(lambda _: json_reply({"balance": "12.50", "amount": 12.5})) as (provider, server):
        await provider.probe(model)

    assert [(request.method, request.path) for request in server.requests] == [("GET", path) for path in paths]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (json_reply({"balance": "0.00"}), ProviderQuota),
        (json_reply({"balance": "-0.10"}), ProviderQuota),
        (json_reply({"error": {"code": "invalid_api_key"}}, 401), ProviderCredentials),
        (json_reply({"error": {"code": "rate_limit"}}, 429), ProviderBusy),
        (json_reply({}, 503), ProviderUnavailable),
        (HangUp(), ProviderUnavailable),
    ],
)
async def test_a_probe_raises_what_a_purchase_would_meet(answer: Answer, expected: type[ProviderError]) -> None:
    async with calling(lambda _: answer) as (provider, _):
        with pytest.raises(expected):
            await provider.probe("seedream-5-lite")


async def test_a_probe_tells_a_model_that_is_gone_from_an_account_that_is_well() -> None:
    def script(request: Request) -> Answer:
        gone = json_reply({"error": {"code": "not_found"}}, 404)
        return gone if request.path.startswith("/v2/models/") else json_reply({"balance": "what?"})

    async with calling(script) as (provider, _):
        with pytest.raises(ModelGone):
            await provider.probe("seedream-5-lite")
        with pytest.raises(ModelGone):
            await provider.probe("nobody/has-this")
