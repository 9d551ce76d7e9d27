"""What WaveSpeed is sent, how its pictures are uploaded and billed, and how a lost task is looked for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from contracts.wishes import PictureTraits
from errors import (
    JobNotFound,
    ProviderBusy,
    ProviderCredentials,
    ProviderQuota,
    ProviderUnavailable,
    ProviderUnreachable,
)
from providers.base import Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.read_quota import ReadQuota
from providers.wavespeed import WaveSpeedProvider
from tests.provider_server import Answer, HangUp, Reply, Request, Script, Server, json_reply, provider_server

CATALOG = Catalog.load()
FLUX, SEEDREAM, ESRGAN = "wavespeed-ai/flux-dev", "bytedance/seedream-v4", "wavespeed-ai/real-esrgan"
PURCHASE = Purchase(
    token="token-1",
    model=FLUX,
    prompt="a fox",
    quality="high",
    size=(1920, 1080),
    shape="wide",
    references=(),
    deadline_s=90,
    webhook_url="https://diorama.example/v1/webhooks/wavespeed/token-1?a=b&c",
)


def enveloped(data: object, code: int = 200, status: int = 200) -> Reply:
    return json_reply({"code": code, "message": "success", "data": data}, status)


def page(*rows: dict[str, Any]) -> Reply:
    return enveloped({"page": 1, "items": list(rows)})


STARTED = enveloped({"id": "abc", "status": "created", "model": FLUX})


@asynccontextmanager
async def wavespeed(script: Script, word_within_s: float = 0.0) -> AsyncIterator[tuple[WaveSpeedProvider, Server]]:
    async with provider_server(script) as server:
        provider = WaveSpeedProvider(
            base_url=f"{server.url}/mounted",
            key=SecretStr("secret"),
            catalog=CATALOG,
            reads=ReadQuota(60_000, burst=1000),
            word_within_s=word_within_s,
        )
        try:
            yield provider, server
        finally:
            await provider.close()


def reference(body: bytes = b"picture", url: str | None = None) -> ReferenceImage:
    async def read() -> bytes:
        return body

    async def link() -> str | None:
        return url

    return ReferenceImage("image/webp", len(body), read, link)


async def sent(purchase: Purchase) -> Request:
    """The create that this purchase becomes."""
    async with wavespeed(lambda _: STARTED) as (provider, server):
        report = await provider.submit(purchase)

    assert (report.job_id, report.state) == ("abc", "waiting")
    (request,) = server.requests
    return request


# --- what is sent -----------------------------------------------------------------------------------------------------


async def test_a_picture_is_asked_for_at_the_models_path_by_the_table_of_its_entry() -> None:
    traits = PictureTraits(seed=7, steps=20, guidance=4.5, output_format="webp")
    request = await sent(replace(PURCHASE, traits=traits))

    assert urlsplit(request.path).path == f"/mounted/api/v3/{FLUX}"
    assert request.json() == {
        "prompt": "a fox",
        "size": "1536*864",
        "seed": 7,
        "num_inference_steps": 20,
        "guidance_scale": 4.5,
        "output_format": "webp",
        "num_images": 1,
        "enable_sync_mode": False,
        "enable_base64_output": False,
    }


async def test_our_token_rides_in_the_webhooks_address_and_nowhere_else() -> None:
    request = await sent(PURCHASE)

    assert parse_qs(urlsplit(request.path).query) == {"webhook": [PURCHASE.webhook_url]}
    assert b"token-1" not in request.body


async def test_without_a_webhook_nothing_is_said_of_one() -> None:
    request = await sent(replace(PURCHASE, webhook_url=None))

    assert urlsplit(request.path).query == ""


async def test_pictures_to_look_at_go_in_a_list_to_the_path_that_edits() -> None:
    links = ("https://store.example/1.png", "https://store.example/2.png")
    purchase = replace(
        PURCHASE, model=SEEDREAM, capability="image_to_image", references=tuple(reference(url=link) for link in links)
    )
    request = await sent(purchase)

    assert urlsplit(request.path).path == "/mounted/api/v3/bytedance/seedream-v4/edit"
    assert request.json()["images"] == list(links)
    assert request.json()["size"] == "1920*1080"


async def test_a_picture_to_change_goes_by_itself_with_its_strength() -> None:
    link = "https://store.example/1.png"
    purchase = replace(
        PURCHASE,
        capability="image_variation",
        references=(reference(url=link),),
        traits=PictureTraits(strength=0.35),
    )
    request = await sent(purchase)

    assert (request.json()["image"], request.json()["strength"]) == (link, 0.35)


async def test_an_upscaler_gets_a_picture_and_a_factor_and_no_words() -> None:
    link = "https://store.example/1.png"
    purchase = replace(
        PURCHASE, model=ESRGAN, capability="upscale", references=(reference(url=link),), traits=PictureTraits(scale=2)
    )
    request = await sent(purchase)

    assert request.json() == {
        "image": link,
        "guidance_scale": 2,
        "face_enhance": False,
        "enable_sync_mode": False,
        "enable_base64_output": False,
    }


async def test_a_format_that_the_model_cannot_write_is_not_asked_of_it() -> None:
    request = await sent(replace(PURCHASE, model=SEEDREAM, traits=PictureTraits(output_format="png")))

    assert "output_format" not in request.json()


# --- uploads ----------------------------------------------------------------------------------------------------------


def ticket(server_url: str, **changes: Any) -> Reply:
    upload = {
        "method": "PUT",
        "url": f"{server_url}/storage/1",
        "headers": {"Content-Type": "image/webp", "If-None-Match": "*", "Authorization": "theirs", "Host": "elsewhere"},
        **changes,
    }
    return enveloped({"download_url": "https://media.example/reference.webp", "upload": upload})


async def test_a_picture_of_a_private_store_is_uploaded_by_ticket_first() -> None:
    def script(request: Request) -> Answer:
        match request.method, request.path:
            case "POST", "/mounted/api/v3/media/uploads":
                return ticket(server.url)
            case "PUT", "/storage/1":
                return Reply(200)
            case _:
                return STARTED

    async with wavespeed(script) as (provider, server):
        await provider.submit(replace(PURCHASE, capability="image_variation", references=(reference(b"bytes"),)))

    asked, put, create = server.requests
    assert asked.json() == {"filename": "reference.webp", "size": 5, "content_type": "image/webp"}
    assert (put.body, put.headers["if-none-match"], put.headers["content-type"]) == (b"bytes", "*", "image/webp")
    assert put.headers["host"] != "elsewhere"
    assert put.headers["authorization"] != "theirs"
    assert create.json()["image"] == "https://media.example/reference.webp"


async def test_our_key_does_not_go_to_where_a_ticket_points() -> None:
    async with provider_server(lambda _: Reply(200)) as storage:
        script: Script = lambda request: (  # noqa: E731 - two answers, told apart by the path
            ticket(storage.url) if request.path.endswith("/media/uploads") else STARTED
        )
        async with wavespeed(script) as (provider, _):
            await provider.submit(replace(PURCHASE, capability="image_variation", references=(reference(),)))

    (put,) = storage.requests
    assert "authorization" not in put.headers


@pytest.mark.parametrize(
    "answer",
    [
        HangUp(),
        Reply(500),
        Reply(200, b"<html>"),
        enveloped({}),
        enveloped({"download_url": "https://media.example/1"}),
        enveloped(None, code=5003),
    ],
    ids=repr,
)
async def test_an_upload_that_fails_buys_nothing(answer: Answer) -> None:
    async with wavespeed(lambda _: answer) as (provider, server):
        with pytest.raises(ProviderUnreachable):
            await provider.submit(replace(PURCHASE, capability="image_variation", references=(reference(),)))

    assert [urlsplit(request.path).path for request in server.requests] == ["/mounted/api/v3/media/uploads"]


@pytest.mark.parametrize("url", ["ftp://storage.example/1", "file:///etc/passwd", "", None, 7])
async def test_a_ticket_that_points_where_nothing_may_be_sent_is_not_followed(url: object) -> None:
    async with wavespeed(lambda _: ticket("", url=url)) as (provider, server):
        with pytest.raises(ProviderUnreachable):
            await provider.submit(replace(PURCHASE, capability="image_variation", references=(reference(),)))

    assert len(server.requests) == 1


async def test_storage_that_refuses_the_bytes_buys_nothing() -> None:
    script: Callable[[Request], Answer] = lambda request: (  # noqa: E731 - two answers, told apart by the method
        ticket(server.url) if request.method == "POST" else Reply(403)
    )
    async with wavespeed(script) as (provider, server):
        with pytest.raises(ProviderUnreachable):
            await provider.submit(replace(PURCHASE, capability="image_variation", references=(reference(),)))

    assert [request.method for request in server.requests] == ["POST", "PUT"]


# --- looking ----------------------------------------------------------------------------------------------------------


def billed(*bills: tuple[str, object]) -> Script:
    """A completed task, and these records of its bill."""
    done = enveloped({"id": "abc", "status": "completed", "outputs": ["https://cdn.example/1.png"]})
    rows = [{"billing_type": kind, "price": price} for kind, price in bills]
    return lambda request: page(*rows) if request.path.endswith("/billings/search") else done


@pytest.mark.parametrize(
    ("bills", "cost"),
    [
        ([("deduct", 0.012)], "0.012"),
        ([("deduct", -0.012)], "0.012"),
        ([("refund", 0.002), ("deduct", 0.012)], "0.010"),
        ([], None),
        ([("gift", 1)], None),
        ([("deduct", "many")], None),
        ([("deduct", True)], None),
    ],
)
async def test_what_a_picture_cost_is_what_the_bill_says(bills: list[tuple[str, object]], cost: str | None) -> None:
    async with wavespeed(billed(*bills)) as (provider, server):
        report = await provider.poll("abc")

    assert report.cost_usd == (Decimal(cost) if cost else None)
    assert server.requests[1].json()["prediction_uuids"] == ["abc"]


@pytest.mark.parametrize("bill", [HangUp(), Reply(500), Reply(200, b"<html>"), enveloped(None)], ids=repr)
async def test_a_picture_whose_bill_cannot_be_read_is_a_picture_all_the_same(bill: Answer) -> None:
    done = enveloped({"id": "abc", "status": "completed", "outputs": ["https://cdn.example/1.png"]})
    async with wavespeed(lambda request: bill if request.method == "POST" else done) as (provider, _):
        report = await provider.poll("abc")

    assert (report.state, report.cost_usd) == ("succeeded", None)


async def test_a_task_that_runs_is_asked_for_no_bill() -> None:
    running = enveloped({"id": "abc", "status": "processing"})
    async with wavespeed(lambda _: running) as (provider, server):
        report = await provider.cancel("abc")

    assert report.state == "running"
    assert [request.path for request in server.requests] == ["/mounted/api/v3/predictions/abc/result"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (enveloped(None, code=404, status=404), JobNotFound),
        (enveloped(None, code=404), JobNotFound),
        (Reply(404, b"<html>"), ProviderUnavailable),
        (enveloped(None, code=401, status=401), ProviderUnavailable),
        (enveloped(None, code=5000), ProviderUnavailable),
        (enveloped({"id": "abc"}), ProviderUnavailable),
        (Reply(200, b"<html>"), ProviderUnavailable),
        (enveloped(None, code=429, status=429), ProviderBusy),
        (enveloped(None, code=429), ProviderBusy),
        (Reply(503), ProviderUnavailable),
        (HangUp(), ProviderUnavailable),
    ],
    ids=repr,
)
async def test_a_look_that_says_nothing_is_no_news(answer: Answer, expected: type[Exception]) -> None:
    async with wavespeed(lambda _: answer) as (provider, _):
        with pytest.raises(expected) as caught:
            await provider.poll("abc")

    assert type(caught.value) is expected


@pytest.mark.parametrize("job_id", ["", "a/b", "../balance", "a?b", "é", "a" * 65])
async def test_an_id_that_is_none_is_never_put_into_an_address(job_id: str) -> None:
    async with wavespeed(lambda _: HangUp()) as (provider, server):
        with pytest.raises(JobNotFound):
            await provider.poll(job_id)

    assert server.requests == []


# --- what was lost ----------------------------------------------------------------------------------------------------


def row(status: str = "completed") -> dict[str, Any]:
    return {"id": "abc", "model": FLUX, "status": status, "created_at": "2026-11-21T10:00:00.5Z", "outputs": []}


async def test_an_account_without_any_task_of_those_moments_never_bought_it() -> None:
    sent_at = datetime.now(UTC)
    async with wavespeed(lambda _: page(), word_within_s=60) as (provider, server):
        lost = await provider.find_lost("token-1", sent_at)

    assert (lost.report, lost.conclusive) == (None, True)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/mounted/api/v3/predictions")
    asked = request.json()
    after, before = (datetime.fromisoformat(asked[name]) for name in ("created_after", "created_before"))
    assert (asked["page"], asked["page_size"]) == (1, 100)
    assert after < sent_at - timedelta(seconds=59)
    assert before > sent_at + timedelta(seconds=provider.submit_timeout_s + 59)


async def test_a_list_that_does_not_go_back_so_far_proves_nothing() -> None:
    async with wavespeed(lambda _: page()) as (provider, _):
        lost = await provider.find_lost("token-1", datetime.now(UTC) - timedelta(days=7))

    assert (lost.report, lost.conclusive) == (None, False)


async def test_a_task_of_those_moments_may_be_it_and_nobody_can_say() -> None:
    async with wavespeed(lambda _: page(row())) as (provider, _):
        lost = await provider.find_lost("token-1", datetime.now(UTC))

    assert (lost.report, lost.conclusive) == (None, False)


@pytest.mark.parametrize(
    ("ago_s", "status"), [(0, "completed"), (600, "processing"), (600, "created"), (0, "processing")]
)
async def test_where_webhooks_come_one_may_yet_name_the_task(ago_s: float, status: str) -> None:
    async with wavespeed(lambda _: page(row(status)), word_within_s=60) as (provider, _):
        with pytest.raises(ProviderUnavailable):
            await provider.find_lost("token-1", datetime.now(UTC) - timedelta(seconds=ago_s))


async def test_a_webhook_that_has_not_come_in_time_is_not_waited_for_any_more() -> None:
    async with wavespeed(lambda _: page(row("failed")), word_within_s=60) as (provider, _):
        lost = await provider.find_lost("token-1", datetime.now(UTC) - timedelta(seconds=600))

    assert lost.conclusive is False


@pytest.mark.parametrize(
    "answer",
    [
        HangUp(),
        Reply(500),
        Reply(200, b"<html>"),
        enveloped(None),
        enveloped({"items": []}, code=5000),
        enveloped({"items": "none"}),
        enveloped({"items": [{"id": "a/b"}]}),
        enveloped({"items": [7]}),
    ],
    ids=repr,
)
async def test_a_list_that_cannot_be_read_proves_nothing(answer: Answer) -> None:
    async with wavespeed(lambda _: answer) as (provider, _):
        with pytest.raises(ProviderUnavailable):
            await provider.find_lost("token-1", datetime.now(UTC))


async def test_all_tasks_are_listed_page_by_page_and_none_shows_a_token() -> None:
    rows = [{**row(), "id": f"task-{number}"} for number in range(130)]

    def script(request: Request) -> Answer:
        number = request.json()["page"]
        return page(*rows[(number - 1) * 100 : number * 100])

    async with wavespeed(script) as (provider, server):
        listed = [job async for job in provider.list_jobs(datetime(2026, 11, 21, tzinfo=UTC))]

    assert [job.report.job_id for job in listed] == [one["id"] for one in rows]
    assert {job.token for job in listed} == {None}
    assert listed[0].created_at == datetime(2026, 11, 21, 10, 0, 0, 500_000, tzinfo=UTC)
    assert len(server.requests) == 2


# --- probing ----------------------------------------------------------------------------------------------------------


async def test_a_probe_asks_for_the_balance_only() -> None:
    async with wavespeed(lambda _: enveloped({"balance": 0.5})) as (provider, server):
        await provider.probe()
        await provider.probe(FLUX)

    assert {(request.method, request.path) for request in server.requests} == {("GET", "/mounted/api/v3/balance")}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (enveloped({"balance": 0}), ProviderQuota),
        (enveloped({"balance": -1.5}), ProviderQuota),
        (enveloped(None, code=402, status=402), ProviderQuota),
        (enveloped(None, code=401, status=401), ProviderCredentials),
        (enveloped(None, code=401), ProviderCredentials),
        (enveloped(None, code=429, status=429), ProviderBusy),
        (Reply(503), ProviderUnavailable),
        (HangUp(), ProviderUnavailable),
    ],
    ids=repr,
)
async def test_a_probe_raises_what_a_purchase_would_meet(answer: Answer, expected: type[Exception]) -> None:
    async with wavespeed(lambda _: answer) as (provider, _):
        with pytest.raises(expected):
            await provider.probe(FLUX)
