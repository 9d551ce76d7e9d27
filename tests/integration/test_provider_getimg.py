"""getimg against the sandbox: both versions of its API, what happens to a picture that lies elsewhere, and what costs nothing."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from PIL import Image, UnidentifiedImageError
from pydantic import SecretStr

from contracts.wishes import Capability, PictureTraits
from errors import (
    DeadlineExceeded,
    ModelGone,
    OutcomeUnknown,
    OutputExpired,
    ProviderCredentials,
    ProviderError,
    ProviderQuota,
    ProviderRejectedInput,
    ProviderUnavailable,
)
from providers.base import Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.getimg import GetimgProvider
from tests.integration.patience import HTTP_S
from tests.sandbox_server import SandboxServer, start_sandbox

CATALOG = Catalog.load()
PNG = b"\x89PNG\r\n\x1a\n"
KEY = "sk_right"


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("getimg"), getimg_key=KEY) as server:
        yield server


@pytest.fixture(autouse=True)
async def clean(sandbox: SandboxServer) -> None:
    await sandbox.disarm()
    await sandbox.reset()


@pytest.fixture
async def getimg(sandbox: SandboxServer) -> AsyncIterator[GetimgProvider]:
    provider = build(sandbox)
    yield provider
    await provider.close()


@pytest.fixture
async def api(sandbox: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        base_url=sandbox.getimg_url, headers=headers, timeout=HTTP_S, trust_env=False
    ) as client:
        yield client


def build(sandbox: SandboxServer, key: str = KEY, download_timeout_s: float = 20.0) -> GetimgProvider:
    return GetimgProvider(
        base_url=sandbox.getimg_url,
        key=SecretStr(key),
        catalog=CATALOG,
        download_timeout_s=download_timeout_s,
        download_pauses_s=(0.01, 0.02, 0.02),
    )


def order(prompt: str = "a fox", model: str = "seedream-5-lite", deadline_s: int = 60) -> Purchase:
    return Purchase(
        token=f"token-{uuid4().hex}",
        model=model,
        prompt=prompt,
        quality="medium",
        size=(1920, 1080),
        shape="wide",
        references=(),
        deadline_s=deadline_s,
    )


def reference(body: bytes) -> ReferenceImage:
    async def read() -> bytes:
        return body

    async def link() -> str | None:
        return None

    return ReferenceImage("image/png", len(body), read, link)


def painted(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def changing(model: str, capability: Capability, picture: bytes, **traits: float) -> Purchase:
    return replace(
        order(model=model),
        capability=capability,
        references=(reference(picture),),
        traits=PictureTraits.model_validate(traits),
    )


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


@pytest.mark.parametrize("model", ["seedream-5-lite", "seedream-v4", "flux-schnell", "stable-diffusion-xl"])
async def test_every_model_paints_from_words_and_is_billed_what_its_answer_says(
    getimg: GetimgProvider, sandbox: SandboxServer, model: str
) -> None:
    picture = await getimg.submit(order(model=model))

    entry = CATALOG.entry("getimg", model)
    (charge,) = await sandbox.charges(provider="getimg", billed="true")
    (job,) = await sandbox.jobs(provider="getimg")
    assert opened(picture.body).format == {"image/png": "PNG", "image/jpeg": "JPEG"}[picture.content_type]
    assert picture.cost_usd is not None
    assert float(picture.cost_usd) == pytest.approx(charge["amount_usd"])
    assert picture.cost_usd <= entry.max_price(quality="medium", shape="wide", size=(1920, 1080), references=0)
    assert job["size"] == "{}x{}".format(*entry.recipe("wide", (1920, 1080)).gives)


async def test_a_picture_is_varied_by_words_and_a_strength(getimg: GetimgProvider, sandbox: SandboxServer) -> None:
    picture = await getimg.submit(
        changing("stable-diffusion-xl", "image_variation", painted(512), strength=0.4, seed=7)
    )

    (job,) = await sandbox.jobs(provider="getimg")
    assert picture.body.startswith(PNG)
    assert job["size"] == "512x512"


async def test_a_picture_is_made_four_times_as_large(getimg: GetimgProvider) -> None:
    picture = await getimg.submit(changing("real-esrgan-4x", "upscale", painted(64), scale=4))

    assert opened(picture.body).size == (256, 256)
    assert picture.cost_usd is not None


async def test_faces_are_restored_in_the_size_that_they_have(getimg: GetimgProvider) -> None:
    picture = await getimg.submit(changing("gfpgan-v1-3", "face_restore", painted(64)))

    assert opened(picture.body).size == (64, 64)


async def test_a_picture_that_is_too_large_to_enhance_is_refused_and_costs_nothing(
    getimg: GetimgProvider, sandbox: SandboxServer
) -> None:
    with pytest.raises(ProviderRejectedInput) as caught:
        await getimg.submit(changing("real-esrgan-4x", "upscale", painted(1025)))

    assert caught.value.facts["fields"] == "image"
    assert await sandbox.charges() == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("delivery_404", OutputExpired),
        ("cut_download after_bytes=100", ProviderUnavailable),
        ("server_error status=503 operation=delivery", ProviderUnavailable),
    ],
)
async def test_a_paid_picture_that_cannot_be_brought_home_was_bought_once_and_says_that_it_was_paid(
    getimg: GetimgProvider, sandbox: SandboxServer, fault: str, expected: type[ProviderError]
) -> None:
    with pytest.raises(expected) as caught:
        await getimg.submit(order(f"a fox [[sandbox fault={fault}]]"))

    assert caught.value.billed == "yes"
    assert [charge["billed"] for charge in await sandbox.charges()] == [True]
    assert len(await sandbox.journal(operation="delivery")) == 4


async def test_a_picture_that_is_there_at_the_third_look_is_brought_home(
    getimg: GetimgProvider, sandbox: SandboxServer
) -> None:
    picture = await getimg.submit(order("a fox [[sandbox fault=delivery_404 times=2]]"))

    assert picture.body.startswith(PNG)
    assert len(await sandbox.charges()) == 1


async def test_a_download_that_is_too_slow_ends_the_purchase_as_paid(sandbox: SandboxServer) -> None:
    provider = build(sandbox, download_timeout_s=0.5)

    with pytest.raises(ProviderUnavailable) as caught:
        await provider.submit(order("a fox [[sandbox fault=slow_download bytes_per_s=10]]"))
    await provider.close()

    assert caught.value.billed == "yes"


async def test_a_broken_picture_arrives_as_the_bytes_that_were_paid(getimg: GetimgProvider) -> None:
    elsewhere = await getimg.submit(order("a fox [[sandbox fault=corrupt_image]]"))
    in_base64 = await getimg.submit(order("a fox [[sandbox fault=corrupt_image]]", model="flux-schnell"))

    for picture in (elsewhere, in_base64):
        with pytest.raises(UnidentifiedImageError):
            opened(picture.body)


async def test_an_answer_without_a_picture_is_never_taken_for_unpaid(
    getimg: GetimgProvider, sandbox: SandboxServer
) -> None:
    for model in ("seedream-5-lite", "flux-schnell"):
        with pytest.raises(ProviderError) as caught:
            await getimg.submit(order("a fox [[sandbox fault=empty_output]]", model=model))
        assert caught.value.billed in {"yes", "unknown"}

    assert [charge["billed"] for charge in await sandbox.charges()] == [True, True]


@pytest.mark.parametrize("model", ["seedream-5-lite", "flux-schnell"])
@pytest.mark.parametrize("fault", ["interrupted", "model_error", "server_error status=504 after=accept"])
async def test_a_create_that_breaks_after_it_was_accepted_leaves_the_outcome_unknown(
    getimg: GetimgProvider, sandbox: SandboxServer, model: str, fault: str
) -> None:
    with pytest.raises(OutcomeUnknown):
        await getimg.submit(order(f"a fox [[sandbox fault={fault}]]", model=model))

    assert len(await sandbox.journal(operation="create")) == 1


async def test_a_lost_purchase_cannot_be_found_again(getimg: GetimgProvider, sandbox: SandboxServer) -> None:
    purchase = order("a fox [[sandbox fault=lost_response]]")
    with pytest.raises(OutcomeUnknown):
        await getimg.submit(purchase)

    lost = await getimg.find_lost(purchase.token, datetime.now(UTC))

    assert (lost.report, lost.conclusive) == (None, False)
    assert [charge["billed"] for charge in await sandbox.charges()] == [True]


async def test_a_slow_answer_is_given_up_at_the_deadline(getimg: GetimgProvider, sandbox: SandboxServer) -> None:
    with pytest.raises(DeadlineExceeded):
        await getimg.submit(order("a fox [[sandbox fault=stuck]]", deadline_s=5))

    assert len(await sandbox.charges()) == 1


async def test_probes_are_free_and_tell_a_wrong_key_an_empty_account_and_a_model_that_is_gone(
    getimg: GetimgProvider, sandbox: SandboxServer
) -> None:
    stranger = build(sandbox, key="sk_wrong")
    for model in (None, "seedream-5-lite", "flux-schnell"):
        await getimg.probe(model)
    with pytest.raises(ProviderCredentials):
        await stranger.probe()
    with pytest.raises(ModelGone):
        await getimg.probe("nobody/has-this")
    await sandbox.arm("insufficient_credit", provider="getimg", operation="other")
    with pytest.raises(ProviderQuota):
        await getimg.probe()
    await stranger.close()

    assert await sandbox.charges() == []
    assert await sandbox.journal(operation="create") == []


async def test_a_picture_can_be_downloaded_for_a_day(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    made = (await api.post("/v2/images/generations", json={"model": "seedream-5-lite", "prompt": "a fox"})).json()
    (picture,) = made["data"]

    assert (made["status"], made["model"]) == ("completed", "seedream-5-lite")
    assert (picture["width"], picture["height"], picture["mime_type"]) == (2048, 2048, "image/jpeg")
    assert made["usage"] == {"billable_unit": "image", "quantity": 1, "unit_price": 0.035, "total_cost": 0.035}
    assert (await sandbox.admin.get(picture["url"])).headers["content-type"] == "image/jpeg"
    assert (await sandbox.admin.get(picture["url"].replace("/media/", "/media/x"))).status_code == 404
    await sandbox.advance(24 * 3600 + 1)
    assert (await sandbox.admin.get(picture["url"])).status_code == 404


async def test_version_1_gives_a_url_when_it_is_asked_for_one(api: httpx.AsyncClient, sandbox: SandboxServer) -> None:
    body = {"prompt": "a fox", "seed": 7, "response_format": "url"}
    made = (await api.post("/v1/flux-schnell/text-to-image", json=body)).json()

    assert (made["seed"], made["cost"]) == (7, 0.003)
    assert (await sandbox.admin.get(made["url"])).content[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v2/images/generations", {"prompt": "a"}, ("model", "parameter_missing")),
        ("/v2/images/generations", {"model": "seedream-5-lite"}, ("prompt", "parameter_missing")),
        ("/v2/images/generations", {"model": "dall-e", "prompt": "a"}, ("model", "invalid_parameter")),
        (
            "/v2/images/generations",
            {"model": "seedream-5-lite", "prompt": "a", "resolution": "8K"},
            ("resolution", "invalid_parameter"),
        ),
        (
            "/v2/images/generations",
            {"model": "seedream-5-lite", "prompt": "a", "aspect_ratio": "7:1"},
            ("aspect_ratio", "invalid_parameter"),
        ),
        (
            "/v2/images/generations",
            {"model": "seedream-5-lite", "prompt": "a" * 4097},
            ("prompt", "invalid_parameter"),
        ),
        (
            "/v2/images/generations",
            {"model": "seedream-5-lite", "prompt": "a", "images": [{"url": "Zmlyc3Q="}]},
            ("images", "invalid_parameter"),
        ),
        ("/v1/flux-schnell/text-to-image", {}, ("prompt", "parameter_missing")),
        ("/v1/flux-schnell/text-to-image", {"prompt": "a", "width": 1281}, ("width", "invalid_parameter")),
        ("/v1/flux-schnell/text-to-image", {"prompt": "a", "steps": 7}, ("steps", "invalid_parameter")),
        ("/v1/stable-diffusion-xl/text-to-image", {"prompt": "a", "width": 1000}, ("width", "invalid_parameter")),
        ("/v1/stable-diffusion-xl/text-to-image", {"prompt": "a", "model": "x"}, ("model", "invalid_parameter")),
        ("/v1/enhancements/upscale", {"image": "%"}, ("image", "invalid_parameter")),
        ("/v1/enhancements/upscale", {"image": base64.b64encode(b"no").decode()}, ("image", "invalid_parameter")),
    ],
)
async def test_the_sandbox_refuses_what_the_api_would(
    api: httpx.AsyncClient, sandbox: SandboxServer, path: str, body: dict[str, object], said: tuple[str, str]
) -> None:
    answer = await api.post(path, json=body)

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["param"], error["code"]) == said
    assert error["type"] == "invalid_request_error"
    assert await sandbox.charges() == []


async def test_a_rate_limit_is_told_in_headers_and_refused_with_a_time_to_wait(
    api: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    body = {"model": "seedream-5-lite", "prompt": "a fox"}
    await sandbox.change(creates_per_minute=1)
    try:
        first = await api.post("/v2/images/generations", json=body)
        second = await api.post("/v2/images/generations", json=body)
    finally:
        await sandbox.change(creates_per_minute="unlimited")

    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("1", "0")
    assert (second.status_code, second.json()["error"]["code"]) == (429, "rate_limit")
    assert 1 <= int(second.headers["retry-after"]) <= 60
    assert (await sandbox.summary())["getimg"]["refused_for_rate"] == 1


async def test_bills_and_pictures_outlive_a_crash_of_the_sandbox(tmp_path: Path) -> None:
    async with start_sandbox(tmp_path) as server:
        headers = {"authorization": "Bearer any"}
        body = {"model": "seedream-5-lite", "prompt": "a fox"}
        made = await server.admin.post(f"{server.getimg_url}/v2/images/generations", json=body, headers=headers)
        await server.kill()
        await server.start()

        assert (await server.admin.get(made.json()["data"][0]["url"])).is_success
        assert [charge["amount_usd"] for charge in await server.charges(provider="getimg")] == [0.035]


async def test_many_purchases_at_once_are_many_charges_and_no_more(
    getimg: GetimgProvider, sandbox: SandboxServer
) -> None:
    pictures = await asyncio.gather(*(getimg.submit(order(f"fox number {number}")) for number in range(20)))

    assert len({picture.body for picture in pictures}) == 20
    assert (await sandbox.summary())["getimg"]["billed"] == 20
