"""Fetching from clients' URLs: nothing private can be reached, however the URL dresses up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api import safe_fetch
from api.safe_fetch import SafeFetcher
from errors import ImageRejected, ImageTooLarge, ImageUnreachable, ImageUrlForbidden, ServiceUnavailable


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1%eth0"])
async def test_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", address]

    fetcher = SafeFetcher(frozenset(), resolve_host=resolve)

    with pytest.raises(ImageUrlForbidden):
        await fetcher.fetch("https://pictures.example/me.png")


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://127.0.0.1/", "https://0x7f.1/", "https://017700000001/",
        "https://2130706433/", "https://localhost/", "https://0/", "http://8.8.8.8/", "https://8.8.8.8:22/",
        "https://user@8.8.8.8/", "https://:pw@8.8.8.8/", "ftp://8.8.8.8/", "gopher://8.8.8.8/", "file:///etc/passwd",
        "//8.8.8.8/", "https://", "https:///x", "", "x", "https://a b/", "https://[::1", "https://8.8.8.8:99999/",
        "https://127.0.0.1\\@8.8.8.8/", "https://8.8.8.8#@127.0.0.1:22/", "https://[64:ff9b::7f00:1]/",
    ],
)  # fmt: skip
async def test_a_dressed_up_url_is_refused(url: str) -> None:
    fetcher = SafeFetcher(frozenset(), at_once=1)

    with pytest.raises((ImageUrlForbidden, ImageUnreachable)):
        await asyncio.wait_for(fetcher.fetch(url), 5)


class Host:
    """Answers every connection with the same bytes, and counts them."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.port = 0
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def hosting(answer: str, body: bytes = b"") -> AsyncIterator[Host]:
    host = Host(answer.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    async with server:
        yield host


def fetcher_for(host: Host, name: str = "127.0.0.1") -> SafeFetcher:
    return SafeFetcher(frozenset({f"{name}:{host.port}"}))


async def test_a_trusted_host_is_read_over_http() -> None:
    async with hosting("HTTP/1.1 200 OK\nContent-Length: 4", b"\x89PNG") as host:
        body = await fetcher_for(host).fetch(f"http://127.0.0.1:{host.port}/me.png?size=1")

    assert body == b"\x89PNG"
    assert host.requests[0].startswith(b"GET /me.png?size=1 HTTP/1.1\r\n")
    assert b"cookie" not in host.requests[0].lower()


async def test_trust_is_for_one_name_and_port_only() -> None:
    async with hosting("HTTP/1.1 200 OK\nContent-Length: 0") as host:
        with pytest.raises(ImageUrlForbidden):
            await fetcher_for(host).fetch(f"http://localhost:{host.port}/me.png")
        with pytest.raises(ImageUrlForbidden):
            await fetcher_for(host).fetch(f"http://127.0.0.1:{host.port + 1}/me.png")

    assert host.requests == []


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest",
        "https://169.254.169.254/latest",
        "https://localhost/",
        "file:///etc/passwd",
        "//10.0.0.1/",
    ],
)
async def test_a_redirect_is_checked_like_the_first_url(location: str) -> None:
    async with hosting(f"HTTP/1.1 302 Found\nLocation: {location}\nContent-Length: 0") as host:
        with pytest.raises(ImageUrlForbidden):
            await fetcher_for(host).fetch(f"http://127.0.0.1:{host.port}/me.png")

    assert len(host.requests) == 1


async def test_redirects_end_after_three() -> None:
    async with hosting("HTTP/1.1 302 Found\nLocation: /again\nContent-Length: 0") as host:
        with pytest.raises(ImageUnreachable):
            await fetcher_for(host).fetch(f"http://127.0.0.1:{host.port}/me.png")

    assert len(host.requests) == 4


async def test_a_name_that_changes_its_answer_is_asked_and_checked_at_every_connection() -> None:
    answers = iter([["8.8.8.8", "127.0.0.1"], ["127.0.0.1"]])

    async def resolve(_host: str, _port: int) -> list[str]:
        return next(answers)

    fetcher = SafeFetcher(frozenset(), resolve_host=resolve)

    for _ in range(2):
        with pytest.raises(ImageUrlForbidden):
            await fetcher.fetch("https://rebinding.example/")


@pytest.mark.parametrize(
    "declared", ["Content-Length: 21000000", "Content-Length: " + "9" * 30, "Transfer-Encoding: chunked"]
)
async def test_too_many_bytes_are_refused_whether_declared_or_not(
    monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    monkeypatch.setattr(safe_fetch, "MAX_BYTES", 1000)
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"

    async with hosting(f"HTTP/1.1 200 OK\n{declared}", chunk) as host:
        with pytest.raises((ImageTooLarge, ImageUnreachable)):
            await fetcher_for(host).fetch(f"http://127.0.0.1:{host.port}/me.png")


async def test_a_host_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_fetch, "TOTAL_S", 0.2)
    never = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ImageUnreachable):
        await SafeFetcher(frozenset({f"127.0.0.1:{port}"})).fetch(f"http://127.0.0.1:{port}/")
    never.set()
    server.close()


async def test_slow_hosts_cannot_hold_up_everybody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()
    never = asyncio.Event()

    async def resolve(_host: str, _port: int) -> list[str]:
        asked.set()
        await never.wait()
        return []

    fetcher = SafeFetcher(frozenset(), resolve_host=resolve, at_once=1)
    monkeypatch.setattr(safe_fetch, "TOTAL_S", 0.01)
    with pytest.raises(ImageUnreachable):
        await fetcher.fetch("https://slow.example/")
    asked.clear()

    monkeypatch.setattr(safe_fetch, "TOTAL_S", 60)
    slow = asyncio.create_task(fetcher.fetch("https://slow.example/"))
    await asked.wait()  # it has the place that the one before gave back
    monkeypatch.setattr(safe_fetch, "TOTAL_S", 0.01)
    with pytest.raises(ServiceUnavailable):
        await fetcher.fetch("https://another.example/")
    slow.cancel()
    await asyncio.wait({slow})


@pytest.mark.parametrize(
    "answer", ["HTTP/1.1 500 Oops\nContent-Length: 0", "nonsense", "HTTP/1.1 200 OK\nContent-Encoding: gzip"]
)
async def test_an_answer_that_is_no_picture_is_refused(answer: str) -> None:
    async with hosting(answer) as host:
        with pytest.raises(ImageRejected):
            await fetcher_for(host).fetch(f"http://127.0.0.1:{host.port}/me.png")


async def test_a_host_where_nobody_listens_cannot_be_read() -> None:
    with pytest.raises(ImageUnreachable):
        await SafeFetcher(frozenset({"127.0.0.1:9"})).fetch("http://127.0.0.1:9/me.png")
