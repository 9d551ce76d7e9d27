"""What a store may answer, served byte by byte over loopback: the answers a healthy gateway cannot be made to give."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256

import pytest

from errors import ConfigurationError, ObjectMissing, StorageError, StorageFull, StorageUnavailable
from storage.base import NewObject
from storage.bodies import chunks_of, read_whole
from storage.minio_storage import MinioStorage
from storage.s3_errors import s3_error

BODY = b"picture"
NEW = NewObject("k.png", "image/png", sha256(BODY).hexdigest(), {"step": "avatar"}, {"tenant": "local"})
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(status: str, body: str = "", content_type: str = "application/xml", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


def refusal(code: str, message: str = "no") -> str:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"


@asynccontextmanager
async def store_that(answers: Answer, *, timeout_s: float = 10) -> AsyncIterator[MinioStorage]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answers(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = MinioStorage(f"http://127.0.0.1:{port}", "user", "secret-secret", "pictures", silence_s=timeout_s)
    yield store
    await store.close()
    server.close()


def says(content: bytes) -> Answer:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"PUT"):
            await reader.readexactly(len(BODY))
        writer.write(content)
        await writer.drain()

    return answers


async def put(store: MinioStorage) -> None:
    await store.put(NEW, chunks_of(BODY), len(BODY))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (answer("507 Insufficient Storage", refusal("XMinioStorageFull")), StorageFull),
        (answer("507 Insufficient Storage", "disk full", "text/plain"), StorageFull),
        (answer("409 Conflict", refusal("XMinioAdminBucketQuotaExceeded")), StorageFull),
        (answer("500 Error", refusal("InternalError", "cause(no space left on device)")), StorageFull),
        (answer("500 Error", refusal("InternalError", "cause(no such file or directory)")), StorageFull),
        (answer("500 Error", refusal("InternalError", "cause(input/output error)")), StorageUnavailable),
        (answer("503 Slow Down", refusal("SlowDown")), StorageUnavailable),
        (answer("404 Not Found", refusal("NoSuchKey")), StorageUnavailable),
        (answer("502 Bad Gateway", "<html>bad gateway</html>", "text/html"), StorageUnavailable),
        (answer("200 OK", "", length=0).replace(b"HTTP/1.1", b"SMTP/9"), StorageUnavailable),
        (answer("503 Slow Down", "<Error", length=900), StorageUnavailable),
    ],
)
async def test_a_put_that_is_not_taken_says_why_in_our_words(content: bytes, error: type[StorageError]) -> None:
    async with store_that(says(content)) as store:
        with pytest.raises(error) as raised:
            await put(store)

    assert type(raised.value) is error


@pytest.mark.parametrize("content", [answer("502 Bad Gateway", "<html>", "text/html"), answer("500 Error"), b""])
async def test_every_call_finds_a_store_unavailable_that_answers_nonsense(content: bytes) -> None:
    async def listed(store: MinioStorage) -> None:
        async for _ in store.list_prefix(""):
            pytest.fail("there is nothing to list")

    calls: list[Callable[[MinioStorage], Awaitable[object]]] = [
        MinioStorage.prepare,
        lambda store: store.get("k"),
        lambda store: store.stat("k"),
        lambda store: store.delete("k"),
        listed,
    ]
    async with store_that(says(content)) as store:
        for call in calls:
            with pytest.raises(StorageUnavailable):
                await call(store)


async def test_a_download_that_breaks_off_is_no_whole_object() -> None:
    async with store_that(says(answer("200 OK", "half", "image/png", length=100))) as store:
        with pytest.raises(StorageUnavailable):
            await read_whole(store, "k.png", max_bytes=100)


async def test_a_store_that_never_answers_is_given_up_after_the_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with store_that(silent, timeout_s=0.2) as store:
        with pytest.raises(StorageUnavailable):
            await put(store)
        with pytest.raises(StorageUnavailable):
            await store.stat("k")


async def test_a_store_that_is_not_there_is_unavailable() -> None:
    async with store_that(says(b"")) as store:
        pass
    with pytest.raises(StorageUnavailable):
        await put(store)
    await store.close()


async def test_a_put_is_one_request_with_all_facts_in_its_head() -> None:
    requests: list[bytes] = []

    async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(len(BODY)))
        writer.write(
            answer("200 OK").replace(b"\r\n\r\n", b'\r\nDate: Sat, 21 Nov 2026 04:20:51 GMT\r\nETag: "e"\r\n\r\n')
        )
        await writer.drain()

    async with store_that(takes) as store:
        stored = await store.put(NEW, chunks_of(BODY), len(BODY))

    [request] = requests
    assert request.startswith(b"PUT /pictures/k.png HTTP/1.1\r\n")
    assert request.endswith(BODY)
    for line in (
        f"x-amz-content-sha256: {NEW.sha256}",
        f"x-amz-meta-sha256: {NEW.sha256}",
        "x-amz-meta-step: avatar",
        "x-amz-tagging: tenant=local",
        "Cache-Control: public, max-age=31536000, immutable",
        "Content-Type: image/png",
        f"Content-Length: {len(BODY)}",
    ):
        assert f"\r\n{line}\r\n".encode() in request
    assert (stored.etag, stored.modified_at.isoformat()) == ("e", "2026-11-21T04:20:51+00:00")


@pytest.mark.parametrize("address", ["127.0.0.1:9000", "ftp://store", "http://store/path", "http://"])
def test_an_address_that_cannot_be_one_is_a_configuration_error(address: str) -> None:
    with pytest.raises(ConfigurationError, match="http"):
        MinioStorage(address, "user", "secret", "pictures")
    with pytest.raises(ConfigurationError, match="http"):
        MinioStorage("http://store:9000", "user", "secret", "pictures", public_url=address)


async def test_signing_a_url_asks_nobody() -> None:
    store = MinioStorage("http://127.0.0.1:1", "user", "secret", "pictures", public_url="https://pictures.example.com")

    url = await store.presigned_get("a/b.png", expires=timedelta(minutes=1))

    assert url.startswith("https://pictures.example.com/pictures/a/b.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&")


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("NoSuchKey", 404, ObjectMissing),
        ("NoSuchBucket", 404, StorageError),
        ("AccessDenied", 403, StorageError),
        ("RequestTimeout", 400, StorageUnavailable),
        (None, 504, StorageUnavailable),
    ],
)
def test_codes_go_before_statuses(code: str | None, status: int, error: type[StorageError]) -> None:
    assert type(s3_error(code, None, status, "key")) is error
