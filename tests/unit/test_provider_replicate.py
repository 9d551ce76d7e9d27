"""What Replicate is sent, and how a lost prediction is looked for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from errors import (
    JobNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderCredentials,
    ProviderUnavailable,
    ProviderUnreachable,
)
from providers.base import Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from tests.provider_server import Answer, HangUp, Request, Script, Server, json_reply, provider_server

CATALOG = Catalog.load()
STARTED = {"id": "abc", "status": "starting", "model": "openai/gpt-image-2.5-flare"}
PURCHASE = Purchase(
    token="token-1",
    model="openai/gpt-image-2.5-flare",
    prompt="a fox",
    quality="high",
    size=(1920, 1080),
    shape="wide",
    references=(),
    deadline_s=90,
    webhook_url="https://diorama.example/v1/webhooks/replicate/token-1",
)


@asynccontextmanager
async def replicate(script: Script) -> AsyncIterator[tuple[ReplicateProvider, Server]]:
    async with provider_server(script) as server:
        quota = ReadQuota(60_000, burst=1000)
        provider = ReplicateProvider(
            base_url=f"{server.url}/mounted", token=SecretStr("secret"), catalog=CATALOG, reads=quota
        )
        try:
            yield provider, server
        finally:
            await provider.close()


def reference(size_bytes: int, url: str | None = None) -> ReferenceImage:
    async def read() -> bytes:
        return b"x" * size_bytes

    async def link() -> str | None:
        return url

    return ReferenceImage("image/png", size_bytes, read, link)


def pages(*found: list[dict[str, Any]]) -> Callable[[Request], Answer]:
    """A list whose pages are linked by cursors, as seen from another host."""

    def answer(request: Request) -> Answer:
        number = int(parse_qs(urlsplit(request.path).query).get("cursor", ["0"])[0])
        following = f"https://elsewhere.example/v1/predictions?cursor={number + 1}"
        return json_reply({"results": found[number], "next": following if number + 1 < len(found) else None})

    return answer


def listed(number: int, **fields: object) -> dict[str, Any]:
    return {"id": f"job{number}", "status": "processing", "input": {"user_id": f"token-{number}"}, **fields}


async def test_a_purchase_is_sent_as_the_catalog_says() -> None:
    async with replicate(lambda _: json_reply(STARTED, 201)) as (provider, server):
        report = await provider.submit(PURCHASE)

    sent = server.requests[0]
    assert (report.job_id, report.state) == ("abc", "waiting")
    assert (sent.method, sent.path) == ("POST", "/mounted/v1/models/openai/gpt-image-2.5-flare/predictions")
    assert sent.headers["cancel-after"] == "90s"
    assert sent.json() == {
        "input": {
            "prompt": "a fox",
            "quality": "high",
            "aspect_ratio": "2560x1440",
            "user_id": "token-1",
            "output_format": "png",
            "number_of_images": 1,
            "moderation": "auto",
        },
        "webhook": PURCHASE.webhook_url,
        "webhook_events_filter": ["completed"],
    }


async def test_without_a_webhook_url_none_is_asked_for() -> None:
    async with replicate(lambda _: json_reply(STARTED, 201)) as (provider, server):
        await provider.submit(replace(PURCHASE, webhook_url=None))

    assert set(server.requests[0].json()) == {"input"}


async def test_a_deadline_shorter_than_the_provider_takes_is_sent_as_its_shortest() -> None:
    async with replicate(lambda _: json_reply(STARTED, 201)) as (provider, server):
        await provider.submit(replace(PURCHASE, deadline_s=1))

    assert server.requests[0].headers["cancel-after"] == "5s"


async def test_a_reference_goes_by_its_url_when_the_provider_can_reach_it() -> None:
    async with replicate(lambda _: json_reply(STARTED, 201)) as (provider, server):
        await provider.submit(replace(PURCHASE, references=(reference(10, "https://store.example/a.png"),)))

    assert server.requests[0].json()["input"]["input_images"] == ["https://store.example/a.png"]


async def test_a_small_reference_goes_inside_the_request() -> None:
    async with replicate(lambda _: json_reply(STARTED, 201)) as (provider, server):
        await provider.submit(replace(PURCHASE, references=(reference(3),)))

    assert server.requests[0].json()["input"]["input_images"] == ["data:image/png;base64,eHh4"]


def uploading(request: Request) -> Answer:
    if request.path.endswith("/v1/files"):
        return json_reply({"id": "f1", "urls": {"get": "https://api.example/v1/files/f1"}}, 201)
    return json_reply(STARTED, 201)


async def test_a_large_reference_is_uploaded_first() -> None:
    async with replicate(uploading) as (provider, server):
        await provider.submit(replace(PURCHASE, references=(reference(300_000),)))

    upload, create = server.requests
    assert upload.path == "/mounted/v1/files"
    assert b'name="content"' in upload.body
    assert create.json()["input"]["input_images"] == ["https://api.example/v1/files/f1"]


async def test_an_upload_whose_connection_breaks_ends_before_anything_is_bought() -> None:
    async with replicate(lambda _: HangUp()) as (provider, server):
        with pytest.raises(ProviderUnreachable):
            await provider.submit(replace(PURCHASE, references=(reference(300_000),)))

    assert [request.path for request in server.requests] == ["/mounted/v1/files"]


async def test_an_answer_that_is_larger_than_any_picture_leaves_the_outcome_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("providers.replicate.MAX_ANSWER_BYTES", 10)
    async with replicate(lambda _: json_reply(STARTED, 201)) as (provider, _):
        with pytest.raises(OutcomeUnknown):
            await provider.submit(PURCHASE)


@pytest.mark.parametrize(
    ("status", "expected"), [(500, ProviderUnreachable), (201, ProviderUnreachable), (401, ProviderCredentials)]
)
async def test_a_failed_upload_ends_before_anything_is_bought(status: int, expected: type[Exception]) -> None:
    async with replicate(lambda _: json_reply({}, status)) as (provider, server):
        with pytest.raises(expected):
            await provider.submit(replace(PURCHASE, references=(reference(300_000),)))

    assert [request.path for request in server.requests] == ["/mounted/v1/files"]


async def test_a_lost_prediction_is_found_on_a_later_page_and_the_key_stays_at_home() -> None:
    script = pages([listed(1), listed(2)], [listed(3, status="starting")])
    async with replicate(script) as (provider, server):
        lost = await provider.find_lost("token-3", datetime(2026, 11, 21, 10, 0, tzinfo=UTC))

    assert lost.report is not None
    assert (lost.report.job_id, lost.report.state) == ("job3", "waiting")
    assert parse_qs(urlsplit(server.requests[0].path).query) == {"created_after": ["2026-11-21T09:59:00Z"]}
    assert [urlsplit(request.path).path for request in server.requests] == ["/mounted/v1/predictions"] * 2


async def test_a_lost_prediction_is_also_found_by_the_token_in_its_webhook() -> None:
    row = listed(1, input={"prompt": "a fox"}, webhook="https://diorama.example/v1/webhooks/replicate/token-9")
    async with replicate(pages([row])) as (provider, _):
        lost = await provider.find_lost("token-9", datetime.now(UTC))

    assert lost.report is not None
    assert lost.report.job_id == "job1"


async def test_a_prediction_that_is_not_on_any_page_was_not_made() -> None:
    async with replicate(pages([listed(1)], [listed(2)], [])) as (provider, server):
        lost = await provider.find_lost("token-9", datetime.now(UTC))

    assert (lost.report, lost.conclusive) == (None, True)
    assert len(server.requests) == 3


@pytest.mark.parametrize("row", [listed(1, data_removed=True, input={}), {"id": "job1", "status": "succeeded"}])
async def test_a_prediction_whose_input_was_removed_could_be_the_lost_one(row: dict[str, Any]) -> None:
    async with replicate(pages([row])) as (provider, _):
        lost = await provider.find_lost("token-9", datetime.now(UTC))

    assert (lost.report, lost.conclusive) == (None, False)


async def test_after_the_time_that_inputs_are_kept_nothing_can_be_proved() -> None:
    async with replicate(pages([])) as (provider, _):
        lost = await provider.find_lost("token-9", datetime.now(UTC) - timedelta(hours=2))

    assert not lost.conclusive


async def test_a_list_without_end_proves_nothing() -> None:
    async with replicate(lambda _: json_reply({"results": [], "next": "https://x/?cursor=1"})) as (provider, server):
        lost = await provider.find_lost("token-9", datetime.now(UTC))

    assert not lost.conclusive
    assert len(server.requests) == 50


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"results": None},
        {"results": ["job"]},
        {"results": [{"id": "../secret"}]},
        {"results": [], "next": "https://x/nothing"},
        {"results": [], "next": "http://[::1/?a=b"},
    ],
)
async def test_a_page_that_cannot_be_read_proves_nothing_yet(body: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.replicate_reads._PAUSES_S", ())
    async with replicate(lambda _: json_reply(body)) as (provider, _):
        with pytest.raises(ProviderUnavailable):
            await provider.find_lost("token-9", datetime.now(UTC))


async def test_a_page_that_fails_once_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.replicate_reads._PAUSES_S", (0.0,))
    answers = iter([json_reply({}, 503), json_reply({"results": [listed(1)], "next": None})])
    async with replicate(lambda _: next(answers)) as (provider, _):
        lost = await provider.find_lost("token-1", datetime.now(UTC))

    assert lost.report is not None


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_a_refused_poll_never_says_that_the_job_was_not_bought(status: int) -> None:
    async with replicate(lambda _: json_reply({}, status)) as (provider, _):
        with pytest.raises(ProviderUnavailable):
            await provider.poll("abc")


async def test_a_job_that_replicate_itself_denies_is_not_there() -> None:
    denied = {"detail": "The requested resource could not be found.", "status": 404, "title": "Not found"}
    async with replicate(lambda _: json_reply(denied, 404)) as (provider, server):
        with pytest.raises(JobNotFound):
            await provider.poll("abc")
        with pytest.raises(JobNotFound):
            await provider.cancel("abc")

    assert [request.method for request in server.requests] == ["GET", "POST", "GET"]


async def test_all_jobs_are_listed_page_by_page_with_the_tokens_that_they_carry() -> None:
    by_webhook = {"input": {"prompt": "a fox"}, "webhook": "https://diorama.example/v1/webhooks/replicate/token-2"}
    model = {"model": "openai/gpt-image-2.5-flare", "created_at": "2026-11-21T10:00:00.5Z"}
    script = pages(
        [listed(1, **model), listed(2, **by_webhook)],
        [listed(3, input={}, status="succeeded", created_at="yesterday")],
    )
    since = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    async with replicate(script) as (provider, server):
        found = [job async for job in provider.list_jobs(since)]

    assert [(job.report.job_id, job.token) for job in found] == [
        ("job1", "token-1"),
        ("job2", "token-2"),
        ("job3", None),
    ]
    assert found[0].created_at == datetime(2026, 11, 21, 10, 0, 0, 500_000, tzinfo=UTC)
    assert found[2].created_at == since
    assert [job.report.is_final for job in found] == [False, False, True]
    assert parse_qs(urlsplit(server.requests[0].path).query) == {"created_after": ["2026-11-21T08:59:00Z"]}


async def test_a_list_of_jobs_with_a_page_that_cannot_be_read_says_so_after_the_pages_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("providers.replicate_reads._PAUSES_S", ())
    first = json_reply({"results": [listed(1)], "next": "https://x/?cursor=1"})
    answers = iter([first, json_reply({}, 503)])
    async with replicate(lambda _: next(answers)) as (provider, _):
        listing = provider.list_jobs(datetime.now(UTC))
        seen = await anext(listing)
        with pytest.raises(ProviderUnavailable):
            await anext(listing)

    assert seen.report.job_id == "job1"


async def test_a_throttled_poll_holds_all_polls_back() -> None:
    answers = iter([json_reply({"retry_after": 0.2}, 429), json_reply({"status": "processing"})])
    async with replicate(lambda _: next(answers)) as (provider, _):
        with pytest.raises(ProviderBusy) as caught:
            await provider.poll("abc")
        report = await provider.poll("abc")

    assert caught.value.retry_after_s == 0.2
    assert report.state == "running"


@pytest.mark.parametrize("body", [None, [], {}, "text"])
async def test_a_poll_without_a_status_says_nothing(body: object) -> None:
    async with replicate(lambda _: json_reply(body)) as (provider, _):
        with pytest.raises(ProviderUnavailable):
            await provider.poll("abc")


@pytest.mark.parametrize("job_id", ["", "../account", "a/b", "x" * 65])
async def test_an_id_that_is_none_is_never_put_into_a_path(job_id: str) -> None:
    async with replicate(lambda _: json_reply(STARTED)) as (provider, server):
        with pytest.raises(JobNotFound):
            await provider.poll(job_id)

    assert server.requests == []


async def test_canceling_a_job_that_the_provider_will_not_cancel_tells_where_it_stands() -> None:
    def script(request: Request) -> Answer:
        if request.method == "POST":
            return json_reply({"detail": "already finished"}, 409)
        return json_reply({"status": "succeeded", "output": ["https://x/a.png"]})

    async with replicate(script) as (provider, _):
        report = await provider.cancel("abc")

    assert report.state == "succeeded"
