"""Downloads: bounded, patient for a moment, and discreet about our key."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from errors import OutputCorrupt, OutputExpired, ProviderBusy, ProviderError, ProviderUnavailable, ProviderUnreachable
from providers import data_uri
from providers.base import RemoteFile
from providers.download import Downloader
from providers.http import HttpSettings, build_client
from tests.provider_server import Answer, HangUp, Reply, Request, Silence, provider_server

BODY = b"picture" * 100
NO_PAUSES = (0.0, 0.0)


@asynccontextmanager
async def downloader(api: str = "http://127.0.0.1:1", silence_s: float = 5.0) -> AsyncIterator[Downloader]:
    client = build_client(api, SecretStr("secret"), HttpSettings(silence_s=silence_s))
    try:
        yield Downloader(client, pauses_s=NO_PAUSES, timeout_s=5.0)
    finally:
        await client.aclose()


def one_after_the_other(*answers: Answer) -> Iterator[Answer]:
    yield from answers
    while True:
        yield answers[-1]


async def fetch(*answers: Answer, max_bytes: int = 10_000, silence_s: float = 5.0) -> tuple[bytes, list[Request]]:
    following = one_after_the_other(*answers)
    async with provider_server(lambda _: next(following)) as server, downloader(server.url, silence_s) as files:
        return await files.fetch(RemoteFile(f"{server.url}/a.png"), max_bytes=max_bytes), server.requests


async def test_a_picture_is_fetched_whole() -> None:
    body, requests = await fetch(Reply(200, BODY))

    assert body == BODY
    assert len(requests) == 1


@pytest.mark.parametrize(
    "first", [Reply(404), Reply(403), Reply(500), HangUp(), Reply(200, BODY, cut_after=9)], ids=repr
)
async def test_a_file_that_is_not_there_at_once_is_fetched_again(first: Answer) -> None:
    body, requests = await fetch(first, Reply(200, BODY))

    assert body == BODY
    assert len(requests) == 2


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_file_that_stays_missing_has_expired_and_was_paid(status: int) -> None:
    with pytest.raises(OutputExpired) as caught:
        await fetch(Reply(status))

    assert caught.value.billed == "yes"


@pytest.mark.parametrize("answer", [Reply(200, BODY, cut_after=9), HangUp(), Reply(500), Reply(400)], ids=repr)
async def test_a_download_that_keeps_failing_may_be_tried_later(answer: Answer) -> None:
    with pytest.raises(ProviderUnavailable):
        await fetch(answer)


async def test_a_download_that_says_nothing_is_given_up() -> None:
    with pytest.raises(ProviderUnavailable):
        await fetch(Silence(), silence_s=0.1)


async def test_a_throttled_download_says_how_long_to_wait() -> None:
    with pytest.raises(ProviderBusy) as caught:
        await fetch(Reply(429, headers={"Retry-After": "3"}))

    assert caught.value.retry_after_s == 3


async def test_a_host_that_cannot_be_reached_may_be_tried_later() -> None:
    async with downloader() as files:
        with pytest.raises(ProviderUnreachable):
            await files.fetch(RemoteFile("http://127.0.0.1:1/a.png"), max_bytes=10)


@pytest.mark.parametrize("body", [BODY, b""])
async def test_a_file_that_is_too_large_or_empty_is_corrupt(body: bytes) -> None:
    with pytest.raises(OutputCorrupt):
        await fetch(Reply(200, body), max_bytes=len(BODY) - 1)


async def test_the_key_goes_to_the_apis_own_host_only() -> None:
    async with (
        provider_server(lambda _: Reply(200, BODY)) as other,
        provider_server(lambda _: Reply(302, headers={"Location": f"{other.url}/moved.png"})) as api,
        downloader(api.url) as files,
    ):
        body = await files.fetch(RemoteFile(f"{api.url}/a.png"), max_bytes=10_000)

    assert body == BODY
    assert api.requests[0].headers["authorization"] == "Bearer secret"
    assert "authorization" not in other.requests[0].headers


async def test_an_endless_chain_of_redirects_is_given_up() -> None:
    with pytest.raises(ProviderUnavailable):
        await fetch(Reply(302, headers={"Location": "/again"}))


@pytest.mark.parametrize(
    "url", ["http://files.example/a.png", "file:///etc/passwd", "ftp://x/a", "https:///a", "a.png"]
)
async def test_an_https_api_is_only_followed_to_https(url: str) -> None:
    async with downloader("https://api.example") as files:
        with pytest.raises(ProviderError) as caught:
            await files.fetch(RemoteFile(url), max_bytes=10)

    assert url not in str(caught.value)


@given(body=st.binary(min_size=1, max_size=300), content_type=st.sampled_from(["image/png", "image/webp"]))
def test_a_data_uri_gives_back_what_was_put_in(body: bytes, content_type: str) -> None:
    uri = data_uri.encode(body, content_type)

    assert len(uri) == data_uri.encoded_length(len(body), content_type)
    assert data_uri.decode(uri, max_bytes=300) == body


@pytest.mark.parametrize(
    "uri", ["data:", "data:image/png;base64,", "data:image/png;base64,%%%", "data:x;base64,é", "x"]
)
def test_a_broken_data_uri_is_corrupt(uri: str) -> None:
    with pytest.raises(OutputCorrupt):
        data_uri.decode(uri, max_bytes=100)


def test_a_data_uri_that_holds_too_much_is_corrupt() -> None:
    with pytest.raises(OutputCorrupt):
        data_uri.decode(data_uri.encode(b"x" * 101, "image/png"), max_bytes=100)


@given(uri=st.text(max_size=60).map(lambda text: "data:" + text))
def test_no_data_uri_is_so_strange_that_reading_it_fails_otherwise(uri: str) -> None:
    body = b"corrupt"
    with contextlib.suppress(OutputCorrupt):
        body = data_uri.decode(uri, max_bytes=100)

    assert body


async def test_a_data_uri_is_read_without_any_network() -> None:
    async with downloader() as files:
        assert await files.fetch(RemoteFile(data_uri.encode(BODY, "image/png")), max_bytes=10_000) == BODY
