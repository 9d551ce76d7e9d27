"""What every answer carries, what every body is bounded by, and who may call from a browser: over all routes there are."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.body_patience import LARGEST, BodyPatience
from api.bounded_http import LARGEST_HEAD, BoundedHttpProtocol
from api.cost_headers import DOCUMENTED
from errors import ConfigurationError
from storage.memory import MemoryStorage
from tests.integration.api.running_api import RunningApi, Tenant, new_tenant, running_api, settings_for
from tests.integration.patience import HTTP_S

PAGE: Final = "https://app.example.com"
IN_PATHS: Final = {
    "provider": "replicate",
    "token": "t" * 20,
    "model": "model-x",
    "session_id": "evening",
    "key_id": "0123456789ab",
}
IN_QUERIES: Final = {"/v1/operations/bills": "?provider=replicate"}
TEN_GB: Final = 10_000_000_000


@dataclass(frozen=True)
class Call:
    """One operation of the API. `types`: of the bodies that it takes; none: it takes none."""

    method: str
    path: str
    types: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The path with something in the place of each parameter, and the queries that must be there."""
        told = self.path
        for name in (part.partition("}")[0] for part in self.path.split("{")[1:]):
            told = told.replace(f"{{{name}}}", IN_PATHS.get(name.partition(":")[0], str(UUID(int=1))))
        return told + IN_QUERIES.get(self.path, "")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def application(**more: Any) -> FastAPI:
    return create_app(settings_for("postgresql+asyncpg://nobody", "127.0.0.1:9", **more), storage=MemoryStorage())


def calls() -> Iterator[Call]:
    """All operations in the OpenAPI document, and what is not in it."""
    for path, operations in application().openapi()["paths"].items():
        for method, operation in operations.items():
            yield Call(method.upper(), path, tuple(operation.get("requestBody", {}).get("content", ())))
    for path in ("/", "/docs", "/redoc", "/openapi.json", "/docs-files/swagger-ui.css", "/nothing"):
        yield Call("GET", path)


CALLS: Final = list(calls())
WITH_BODY: Final = [
    (call, kind)
    for call in [*CALLS, Call("POST", "/v1/webhooks/{provider}/{token}", ("application/json",))]
    for kind in call.types
    if call.types
]


@pytest.fixture(scope="module")
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api, operator=True) as tenant:
        yield tenant


def head_of(answer: httpx.Response) -> dict[str, str]:
    names = ("x-content-type-options", "x-frame-options", "referrer-policy")
    return {name: answer.headers.get(name, "") for name in names}


SAFE: Final = {"x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer"}


@pytest.mark.parametrize(
    "call", [call for call in CALLS if "events" not in call.path and "/ws" not in call.path], ids=str
)
@pytest.mark.parametrize("with_key", [False, True], ids=["without a key", "with a key"])
async def test_every_answer_has_the_headers_that_keep_browsers_in_bounds(
    api: RunningApi, tenant: Tenant, call: Call, *, with_key: bool
) -> None:
    headers = {"Authorization": f"Bearer {tenant.key}"} if with_key else {}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, timeout=HTTP_S) as client:
        answer = await client.request(call.method, call.target)

    assert head_of(answer) == SAFE
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe-eval" not in policy
    assert "script-src 'self' 'unsafe" not in policy
    if call.path.startswith("/v1/"):
        assert answer.headers["cache-control"] in {"no-store", "private, max-age=31536000, immutable"}
    assert "strict-transport-security" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers
    names = [name for name, _ in answer.headers.multi_items()]
    assert [name for name in SAFE if names.count(name) > 1] == []


async def test_the_page_that_tries_the_api_may_show_a_picture(api: RunningApi) -> None:
    """Swagger shows it as a blob that it makes itself; nothing of another origin may be shown."""
    async with httpx.AsyncClient(base_url=api.url, timeout=HTTP_S) as client:
        policy = (await client.get("/docs")).headers["content-security-policy"]

    assert "img-src 'self' data: blob:;" in policy


async def test_a_fault_of_ours_has_the_headers_too() -> None:
    app = application()

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/broken")

    assert (answer.status_code, head_of(answer)) == (500, SAFE)


async def test_a_stream_of_events_has_the_headers_too(tenant: Tenant) -> None:
    accepted = await tenant.accept({"kind": "avatar", "avatar": {"description": "a captain"}})
    path = f"/v1/generations/{accepted['id']}/events"
    async with tenant.client.stream("GET", path, headers={"Accept": "text/event-stream"}) as answer:
        assert (answer.status_code, head_of(answer)) == (200, SAFE)


async def test_browsers_are_told_to_use_https_only_where_the_settings_say_so() -> None:
    transport = httpx.ASGITransport(app=application(hsts_days=365))
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        answer = await client.get("/healthz")

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def sent_slowly(url: str, head: str, chunks: AsyncIterator[bytes] | None = None) -> tuple[bytes, int]:
    """The first of an answer to a request on a bare socket, and how many bytes of the body had been taken by then."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    taken = 0
    try:
        writer.write(head.encode())
        answering = asyncio.create_task(reader.read(65536))
        async for chunk in chunks or _nothing():
            if answering.done():
                break
            writer.write(chunk)
            await writer.drain()
            taken += len(chunk)
        return await answering, taken
    except ConnectionError:
        return await answering, taken
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


def request_head(call: Call, kind: str, key: str, **headers: str) -> str:
    if kind == "multipart/form-data":
        kind += "; boundary=frontier"
    lines = [
        f"{call.method} {call.target} HTTP/1.1",
        "Host: test",
        f"Authorization: Bearer {key}",
        f"Content-Type: {kind}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""])


def check_too_large(call: Call, raw: bytes) -> None:
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 "), raw
    told = json.loads(body)
    if call.path.startswith("/v1/images"):
        assert told["error"]["code"] == "content_too_large"
    else:
        assert b"application/problem+json" in head
        assert (told["code"], told["status"]) == ("content_too_large", 413)


@pytest.mark.parametrize(("call", "kind"), WITH_BODY, ids=str)
async def test_a_body_that_is_said_to_be_too_large_is_refused_unread(
    api: RunningApi, operator: Tenant, call: Call, kind: str
) -> None:
    raw, _ = await sent_slowly(api.url, request_head(call, kind, operator.key, Content_Length=str(TEN_GB)))

    check_too_large(call, raw)


async def test_who_asks_before_sending_is_told_at_once(api: RunningApi, operator: Tenant) -> None:
    call = Call("POST", "/v1/generations", ("application/json",))
    headers = {"Content_Length": str(TEN_GB), "Expect": "100-continue"}

    raw, _ = await sent_slowly(api.url, request_head(call, "application/json", operator.key, **headers))

    check_too_large(call, raw)


async def endless(kind: str) -> AsyncIterator[bytes]:
    """Chunks of a body that has no end and does not say so."""
    if kind == "multipart/form-data":
        start = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        yield b"%x\r\n%s\r\n" % (len(start), start)
    while True:
        yield b"%x\r\n%s\r\n" % (65536, b" " * 65536)


@pytest.mark.parametrize(("call", "kind"), WITH_BODY, ids=str)
async def test_a_body_without_end_is_refused_at_its_bound(
    api: RunningApi, operator: Tenant, call: Call, kind: str
) -> None:
    head = request_head(call, kind, operator.key, Transfer_Encoding="chunked")

    raw, taken = await sent_slowly(api.url, head, endless(kind))

    check_too_large(call, raw)
    assert taken < LARGEST + 8_000_000  # what the sockets of both sides hold


async def test_a_body_that_comes_too_slowly_is_refused() -> None:
    app = application()

    @app.post("/patient")
    async def patient(body: dict[str, str]) -> dict[str, str]:
        return body

    async def silence() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "method": "POST", "path": "/patient", "headers": [(b"content-type", b"application/json")]}
    await BodyPatience(app.middleware_stack or app, silence_s=0.01)(
        scope | {"query_string": b"", "app": app, "state": {}}, silence, send
    )

    assert told[0]["status"] == 408
    assert json.loads(told[1]["body"])["code"] == "request_timeout"


async def test_a_head_that_is_too_large_is_refused(api: RunningApi) -> None:
    whole = f"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Long: {'x' * LARGEST_HEAD}\r\n\r\n"
    without_end = f"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Long: {'x' * LARGEST_HEAD}"
    many = "GET /healthz HTTP/1.1\r\nHost: test\r\n" + "X-Short: y\r\n" * (LARGEST_HEAD // 8)
    long_url = f"GET /healthz?{'x' * LARGEST_HEAD} HTTP/1.1\r\nHost: test\r\n\r\n"

    answers = [(await sent_slowly(api.url, head))[0] for head in (whole, without_end, many, long_url)]

    assert [answer.split(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 431 Request Header Fields Too Large"] * 4


async def test_a_head_within_the_bound_is_read_on_every_request_of_a_connection(api: RunningApi) -> None:
    headers = {"X-Long": "x" * (LARGEST_HEAD // 2)}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, timeout=HTTP_S) as client:
        answers = [await client.get("/healthz") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 5


@pytest.mark.parametrize(
    ("head", "answer"),
    [("GET /healthz HTTP/1.1\r\nHost: te", b"HTTP/1.1 408 Request Timeout"), ("", b"")],
    ids=["half a head", "nothing at all"],
)
async def test_who_does_not_finish_a_head_is_sent_away(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch, head: str, answer: bytes
) -> None:
    raw = b""
    for within_s in (0.05, 0.5, 5) if head else (0.05,):
        monkeypatch.setattr(BoundedHttpProtocol, "head_within_s", within_s)
        with suppress(ConnectionError):
            raw, _ = await sent_slowly(api.url, head)
        if raw:
            break  # else a busy machine had not let the head come in time, and there was nobody to be told

    assert raw.split(b"\r\n")[0] == answer


CHUNKED: Final = "Host: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
# More than the sockets of both sides hold.
ENOUGH: Final = 32_000_000


@asynccontextmanager
async def bare_connection(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare socket; the block has two minutes, which only end a broken test."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(120):
            yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("request_line", ["GET /healthz HTTP/1.1", "POST /v1/generations HTTP/1.1"])
@pytest.mark.parametrize(
    ("begin", "more"), [("", b"a: x\r\n" * 8192), ("a: ", b"x" * 65536)], ids=["trailers", "a trailer"]
)
async def test_trailers_without_end_are_cut_off_as_a_head_is(
    api: RunningApi, request_line: str, begin: str, more: bytes
) -> None:
    taken = 0
    async with bare_connection(api.url) as (reader, writer):
        ended = asyncio.create_task(reader.read())
        with suppress(ConnectionError):
            writer.write(f"{request_line}\r\n{CHUNKED}{begin}".encode())
            while not ended.done() and taken < ENOUGH:
                writer.write(more)
                await writer.drain()
                taken += len(more)
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)

    assert taken < ENOUGH


async def test_a_trailer_is_no_header(api: RunningApi, tenant: Tenant) -> None:
    async with bare_connection(api.url) as (reader, writer):
        writer.write(f"GET /v1/generations HTTP/1.1\r\n{CHUNKED}Authorization: Bearer {tenant.key}\r\n\r\n".encode())
        answer = await reader.readline()

    assert answer == b"HTTP/1.1 401 Unauthorized\r\n"


async def test_a_head_that_comes_with_the_end_of_a_body_is_not_counted_with_it(api: RunningApi) -> None:
    body = b"x" * (LARGEST_HEAD * 4)
    async with bare_connection(api.url) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body))
        first = await reader.readuntil(b"\r\n")
        writer.write(body + b"GET /healthz HTTP/1.1\r\nHost: ")
        await writer.drain()
        writer.write(b"test\r\nConnection: close\r\n\r\n")
        rest = await reader.read()

    assert (first, rest.count(b"HTTP/1.1 200 OK\r\n"), rest.count(b"HTTP/1.1 ")) == (b"HTTP/1.1 200 OK\r\n", 1, 1)


ANSWERED_EARLY: Final = [
    ("GET /healthz HTTP/1.1\r\nContent-Length: 10", 200, b"x"),
    ("GET /healthz HTTP/1.1", 200, b"\r\n"),
    ("POST /v1/generations HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 60000", 415, b"x"),
    (f"POST /v1/generations HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {TEN_GB}", 413, b"x"),
]


@pytest.mark.parametrize(("head", "status", "more"), ANSWERED_EARLY)
async def test_who_begins_to_send_more_after_the_answer_and_falls_silent_is_sent_away(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch, head: str, status: int, more: bytes
) -> None:
    rest = b""
    async with bare_connection(api.url) as (reader, writer):
        writer.write(f"{head}\r\nHost: test\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        monkeypatch.setattr(BoundedHttpProtocol, "head_within_s", 0.05)  # not before: the head itself takes its time
        writer.write(more)
        with suppress(ConnectionError):
            rest = await reader.read()

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"HTTP/1.1" not in rest


async def test_who_never_ends_a_body_that_was_answered_is_sent_away(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bare_connection(api.url) as (reader, writer):
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: {TEN_GB}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        monkeypatch.setattr(BoundedHttpProtocol, "head_within_s", 0.05)
        ended = asyncio.create_task(reader.read())
        with suppress(ConnectionError):
            while not ended.done():
                writer.write(b"x")
                await asyncio.sleep(0)
                await writer.drain()
        await asyncio.gather(ended, return_exceptions=True)

    assert ended.done()


async def test_a_websocket_on_a_connection_that_had_an_answer_before_stays_open(
    api: RunningApi, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = await tenant.accept({"kind": "avatar", "avatar": {"description": "a captain"}})
    upgrade = (
        f"GET /v1/generations/{accepted['id']}/ws HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {tenant.key}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    clock = asyncio.get_running_loop().time

    async with bare_connection(api.url) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        await reader.readuntil(b"}")
        monkeypatch.setattr(BoundedHttpProtocol, "head_within_s", 0.05)
        writer.write(upgrade.encode())
        assert await reader.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
        until = clock() + 0.2
        while clock() < until:
            await tenant.tell(accepted["id"], "generation.progress")
            assert await reader.read(65536) != b""


async def test_pages_of_other_origins_may_not_call_by_default(api: RunningApi, tenant: Tenant) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    preflight = await tenant.client.options("/v1/generations", headers=asked)
    read = await tenant.client.get("/v1/themes", headers={"Origin": PAGE})

    assert preflight.status_code == 405
    assert [name for answer in (preflight, read) for name in answer.headers if name.startswith("access-control")] == []


@pytest.fixture(scope="module")
async def open_api(api: RunningApi, api_database_url: str) -> AsyncIterator[RunningApi]:
    settings = settings_for(api_database_url, "127.0.0.1:9", cors_origins=f"{PAGE}, http://localhost:5173")
    async with running_api(settings, MemoryStorage()) as running:
        yield running


# What OpenAI's package for browsers asks to send.
BY_OPENAI: Final = "openai-project,user-agent,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"


async def test_pages_of_the_named_origins_may_call(open_api: RunningApi) -> None:
    async with new_tenant(open_api) as tenant:
        asked = {
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": f"authorization,content-type,idempotency-key,{BY_OPENAI}",
        }
        preflight = await tenant.client.options("/v1/generations", headers=asked)
        read = await tenant.client.get("/v1/themes", headers={"Origin": PAGE})
        refused = await tenant.client.get("/v1/generations/1", headers={"Origin": PAGE})

    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
    assert [answer.headers["access-control-allow-origin"] for answer in (read, refused)] == [PAGE, PAGE]
    assert {"Retry-After", *DOCUMENTED} <= {*read.headers["access-control-expose-headers"].split(", ")}
    assert "access-control-allow-credentials" not in preflight.headers
    assert head_of(preflight) == SAFE


@pytest.mark.parametrize("origin", ["https://evil.example", f"{PAGE}.evil.example", "null", "http://app.example.com"])
async def test_pages_of_other_origins_may_still_not(open_api: RunningApi, origin: str) -> None:
    async with new_tenant(open_api) as tenant:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = await tenant.client.options("/v1/generations", headers=asked)
        read = await tenant.client.get("/v1/themes", headers={"Origin": origin})

    assert [answer.headers.get("access-control-allow-origin") for answer in (preflight, read)] == [None, None]


@pytest.mark.parametrize("origins", ["*", "app.example.com", "https://*.example.com", "https://a.example/path", "null"])
def test_what_is_no_origin_is_refused_at_the_start(origins: str) -> None:
    with pytest.raises(ConfigurationError, match="DIORAMA_CORS_ORIGINS"):
        application(cors_origins=origins)
