"""One contract, two stores: the twin in memory and a real S3 gateway must behave alike."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest
from miniopy_async.api import Minio
from yarl import URL

from deploy.stack_ports import claimed, find_free_port
from errors import ObjectMissing, StorageError, StorageFull, StorageUnavailable
from storage.base import NewObject, ObjectStorage, StoredObject
from storage.bodies import chunks_of, read_whole
from storage.memory import MemoryStorage
from storage.minio_storage import MinioStorage

USER, PASSWORD = "conformance", "conformance-secret"
JUICEFS = shutil.which("juicefs", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "juicefs"
START_TIMEOUT_S = 30.0


class Gateway:
    """An S3 gateway over a folder, as a process of its own."""

    def __init__(self, folder: Path, *, capacity: str = "") -> None:
        self._folder = folder
        self._meta = f"sqlite3://{folder / 'meta.db'}"
        self._process: subprocess.Popen[bytes] | None = None
        port = find_free_port()
        self._claim = ExitStack()  # it is to be started again where it was
        self._claim.enter_context(claimed([port]))
        self._address = f"127.0.0.1:{port}"
        limit = ["--capacity", capacity] if capacity else []
        bucket = ["--storage", "file", "--bucket", f"{folder / 'data'}/", "--trash-days", "0"]
        subprocess.run([JUICEFS, "format", *bucket, *limit, self._meta, "pictures"], check=True, capture_output=True)

    @property
    def url(self) -> str:
        return f"http://{self._address}"

    async def start(self) -> None:
        self._launch()
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self._answers():  # noqa: ASYNC110 - another process cannot set our event
                await asyncio.sleep(0.02)

    def _launch(self) -> None:
        flags = ["--multi-buckets", "--keep-etag", "--object-tag", "--object-meta", "--no-usage-report"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [JUICEFS, "gateway", *flags, "--cache-dir", "memory", "--cache-size", "64", self._meta, self._address],
                env={**os.environ, "MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD},
                stdout=log,
                stderr=log,
            )

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(with_signal)
            self._process.wait(timeout=30)
            self._process = None

    def close(self) -> None:
        self.stop()
        self._claim.close()

    def storage(
        self,
        bucket: str = "",
        *,
        max_connections: int = 16,
        public_url: str | None = None,
        timeout_s: float = 30,
        password: str = PASSWORD,
    ) -> MinioStorage:
        name = bucket or f"b-{uuid4().hex[:12]}"
        return MinioStorage(
            self.url,
            USER,
            password,
            name,
            max_connections=max_connections,
            public_url=public_url,
            silence_s=timeout_s,
            put_s=timeout_s,
        )

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            async with aiohttp.ClientSession() as client, client.get(f"{self.url}/minio/health/live") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False


@pytest.fixture(scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    started = Gateway(tmp_path_factory.mktemp("gateway"))
    await started.start()
    yield started
    started.close()


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that the test may kill."""
    own = Gateway(tmp_path)
    yield own
    own.close()


@pytest.fixture
def small_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway with room for 20 MB."""
    small = Gateway(tmp_path, capacity="20M")
    yield small
    small.close()


@pytest.fixture(params=["memory", "minio"])
async def store(request: pytest.FixtureRequest, gateway: Gateway) -> AsyncIterator[ObjectStorage]:
    made: ObjectStorage = MemoryStorage() if request.param == "memory" else gateway.storage()
    await made.prepare()
    yield made
    await made.close()


@pytest.fixture
async def minio(gateway: Gateway) -> AsyncIterator[MinioStorage]:
    made = gateway.storage()
    await made.prepare()
    yield made
    await made.close()


def new(key: str, body: bytes, content_type: str = "image/png") -> NewObject:
    return NewObject(key=key, content_type=content_type, sha256=sha256(body).hexdigest())


async def put(store: ObjectStorage, key: str, body: bytes) -> StoredObject:
    return await store.put(new(key, body), chunks_of(body), len(body))


async def in_pieces(body: bytes, size: int) -> AsyncGenerator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read_range(store: ObjectStorage, key: str, start: int, length: int | None) -> bytes:
    async with aclosing(await store.get(key, start=start, length=length)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def keys(store: ObjectStorage, prefix: str = "", *, after: str = "") -> list[str]:
    return [found.key async for found in store.list_prefix(prefix, after=after)]


@pytest.mark.parametrize("size", [0, 1, 5_000, 256 * 1024, 256 * 1024 + 1, 8_000_000])
async def test_what_was_put_comes_back_byte_for_byte(store: ObjectStorage, size: int) -> None:
    body = os.urandom(size)

    stored = await put(store, "tenant/generation/avatar.png", body)

    assert stored.size_bytes == size
    assert stored.sha256 == sha256(body).hexdigest()
    assert await read_whole(store, "tenant/generation/avatar.png", max_bytes=size) == body


async def test_a_body_may_come_in_pieces_of_any_size(store: ObjectStorage) -> None:
    body = os.urandom(100_000)

    await store.put(new("pieces", body), in_pieces(body, 777), len(body))

    assert await read_whole(store, "pieces", max_bytes=len(body)) == body


async def test_empty_pieces_are_passed_over(store: ObjectStorage) -> None:
    async def with_gaps() -> AsyncGenerator[bytes]:
        for piece in (b"", b"one", b"", b"two", b""):
            yield piece

    await store.put(new("gaps", b"onetwo"), with_gaps(), 6)

    assert await read_whole(store, "gaps", max_bytes=6) == b"onetwo"


async def test_stat_tells_all_that_put_was_told(store: ObjectStorage) -> None:
    body = b"picture"
    told = NewObject(
        key="facts.webp",
        content_type="image/webp",
        sha256=sha256(body).hexdigest(),
        metadata={"generation": "0195-ab", "model": "openai/gpt-image-2.5-flare", "prompt-hash": "ab" * 32},
        tags={"tenant": "local", "step": "avatar", "odd": "a b+c/=:@._-"},
    )
    before = datetime.now(UTC)

    stored = await store.put(told, chunks_of(body), len(body))
    took = datetime.now(UTC) - before
    seen = await store.stat("facts.webp")

    # A put is dated by its answer, which comes after the object's own time, and both are in whole seconds.
    assert timedelta(0) <= stored.modified_at - seen.modified_at <= took + timedelta(seconds=2)
    assert replace(seen, modified_at=stored.modified_at) == stored
    assert seen.content_type == "image/webp"
    assert seen.sha256 == told.sha256
    assert seen.metadata == told.metadata
    assert seen.tags == told.tags
    assert seen.etag
    assert before - timedelta(seconds=2) <= seen.modified_at <= datetime.now(UTC) + timedelta(seconds=2)


async def test_put_replaces_what_was_there(store: ObjectStorage) -> None:
    await put(store, "again", b"first and longer")
    await put(store, "again", b"second")

    assert await read_whole(store, "again", max_bytes=100) == b"second"
    assert (await store.stat("again")).sha256 == sha256(b"second").hexdigest()


@pytest.mark.parametrize(
    ("start", "length"), [(0, 4), (3, None), (3, 5), (9, 1), (9, 50), (0, 0), (5, 0), (10, None), (10, 3), (99, 1)]
)
async def test_a_range_is_the_slice_of_the_body(store: ObjectStorage, start: int, length: int | None) -> None:
    body = b"0123456789"
    await put(store, "digits", body)

    read = await read_range(store, "digits", start, length)

    assert read == body[start : None if length is None else start + length]


async def test_a_range_of_an_empty_object_is_empty(store: ObjectStorage) -> None:
    await put(store, "empty", b"")

    assert await read_range(store, "empty", 0, 10) == b""


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
async def test_a_range_before_the_object_is_refused(store: ObjectStorage, start: int, length: int) -> None:
    with pytest.raises(ValueError, match="not a range"):
        await store.get("any", start=start, length=length)


async def test_a_missing_object_is_said_to_be_missing_at_once(store: ObjectStorage) -> None:
    with pytest.raises(ObjectMissing) as stat_error:
        await store.stat("nobody/here")
    with pytest.raises(ObjectMissing):
        await store.get("nobody/here")

    assert stat_error.value.facts == {"key": "nobody/here"}


async def test_deleting_removes_the_object_and_may_be_repeated(store: ObjectStorage) -> None:
    await put(store, "a/b/c.png", b"x")

    await store.delete("a/b/c.png")
    await store.delete("a/b/c.png")

    with pytest.raises(ObjectMissing):
        await store.stat("a/b/c.png")
    assert await keys(store) == []


@pytest.mark.parametrize(
    "key",
    [
        "a b+c%25&=?#~!*'();:@,$.png",
        "Zürich/漢字/🎨.png",
        "..hidden/...dots",
        'quote"<tag>|^`{}[]',
        "x" * 255,
        "/".join(["p" * 100] * 9),
    ],
)
async def test_a_key_may_hold_odd_characters(store: ObjectStorage, key: str) -> None:
    await put(store, key, b"odd")

    assert await read_whole(store, key, max_bytes=3) == b"odd"
    assert await keys(store) == [key]
    assert (await store.stat(key)).key == key


@pytest.mark.parametrize(
    "key", ["", "/", "/a", "a/", "a//b", "a/../b", "./a", "line\nbreak", "nul\0", "a\\b", "x" * 256]
)
async def test_a_key_that_is_not_a_plain_path_is_refused(store: ObjectStorage, key: str) -> None:
    with pytest.raises(ValueError, match="object key"):
        await store.stat(key)
    with pytest.raises(ValueError, match="object key"):
        await store.get(key)
    with pytest.raises(ValueError, match="object key"):
        await store.delete(key)
    with pytest.raises(ValueError, match="object key"):
        await store.presigned_get(key, expires=timedelta(minutes=1))


@pytest.mark.parametrize("pieces", [1_000, 100_000])
@pytest.mark.parametrize("promised", [0, 1, 99_999, 100_001, 5_000_000])
async def test_a_body_of_another_size_leaves_nothing(store: ObjectStorage, promised: int, pieces: int) -> None:
    body = os.urandom(100_000)

    with pytest.raises(StorageError, match="promised size") as error:
        await store.put(new("wrong-size", body), in_pieces(body, pieces), promised)

    assert error.value.facts["promised_bytes"] == promised
    assert await keys(store) == []


@pytest.mark.parametrize("pieces", [1_000, 100_000])
async def test_a_body_with_another_hash_leaves_nothing(store: ObjectStorage, pieces: int) -> None:
    body = os.urandom(100_000)

    with pytest.raises(StorageError, match="promised hash"):
        await store.put(new("wrong-hash", b"other"), in_pieces(body, pieces), len(body))

    assert await keys(store) == []


async def test_a_failing_put_leaves_the_object_that_was_there(store: ObjectStorage) -> None:
    await put(store, "kept", b"the good one")

    with pytest.raises(StorageError, match="promised size"):
        await store.put(new("kept", b"0123456789"), in_pieces(b"01234", 1), 10)

    assert await read_whole(store, "kept", max_bytes=100) == b"the good one"


async def test_what_the_source_raises_comes_out_of_put(store: ObjectStorage) -> None:
    async def breaks() -> AsyncGenerator[bytes]:
        yield b"x" * 70_000
        yield b"x" * 70_000
        raise ConnectionResetError("the download broke")

    with pytest.raises(ConnectionResetError, match="the download broke"):
        await store.put(new("broken-source", b"x" * 200_000), breaks(), 200_000)

    assert await keys(store) == []


async def test_listing_is_by_prefix_and_in_byte_order(store: ObjectStorage) -> None:
    for key in ["b", "a/2", "a/10", "a-b", "a.b", "a0", "a/Z", "a/ä", "ab/c/d"]:
        await put(store, key, key.encode())

    assert await keys(store) == ["a-b", "a.b", "a/10", "a/2", "a/Z", "a/ä", "a0", "ab/c/d", "b"]
    assert await keys(store, "a/") == ["a/10", "a/2", "a/Z", "a/ä"]
    assert await keys(store, "a/1") == ["a/10"]
    assert await keys(store, "none") == []


async def test_a_listing_shows_size_etag_and_time_only(store: ObjectStorage) -> None:
    before = datetime.now(UTC)
    stored = await put(store, "one", b"12345")
    took = datetime.now(UTC) - before

    [listed] = [found async for found in store.list_prefix("")]

    assert (listed.size_bytes, listed.etag) == (5, stored.etag)
    assert abs(listed.modified_at - stored.modified_at) < took + timedelta(seconds=2)
    assert (listed.content_type, listed.sha256, listed.metadata, listed.tags) == ("", None, {}, {})


async def test_more_objects_than_a_page_holds_are_all_listed(store: ObjectStorage) -> None:
    expected = [f"page/{number:04}.png" for number in range(1_010)]  # a page has 1000
    for start in range(0, len(expected), 20):
        await asyncio.gather(*(put(store, key, b"x") for key in expected[start : start + 20]))

    assert await keys(store, "page/") == expected
    assert await keys(store, "page/", after=expected[3]) == expected[4:]


async def test_a_listing_goes_on_behind_any_key(store: ObjectStorage) -> None:
    for key in ["a/10", "a/2", "a/Z", "a/ä", "ab/c", "b"]:
        await put(store, key, b"x")

    assert await keys(store, after="a/2") == ["a/Z", "a/ä", "ab/c", "b"]
    assert await keys(store, "a/", after="a/2") == ["a/Z", "a/ä"]
    assert await keys(store, "a/", after="a/3") == ["a/Z", "a/ä"]  # no object has this key
    assert await keys(store, "a/", after="a/ä") == []
    assert await keys(store, "a/", after="b") == []
    assert await keys(store, "a/", after="A") == ["a/10", "a/2", "a/Z", "a/ä"]


async def test_a_listing_may_be_left_early(store: ObjectStorage) -> None:
    for number in range(5):
        await put(store, f"n{number}", b"x")

    async with aclosing(store.list_prefix("n")) as found:
        first = await anext(found)

    assert first.key == "n0"


async def test_a_stream_may_be_left_early(store: ObjectStorage) -> None:
    await put(store, "long", os.urandom(4_000_000))

    stream = await store.get("long")
    first = await anext(stream)
    await stream.aclose()

    assert first
    assert (await store.stat("long")).size_bytes == 4_000_000


async def test_preparing_many_times_at_once_is_harmless(store: ObjectStorage) -> None:
    await put(store, "kept", b"x")

    await asyncio.gather(*(store.prepare() for _ in range(8)))

    assert await keys(store) == ["kept"]


@pytest.mark.parametrize("expires", [timedelta(0), timedelta(days=8), timedelta(seconds=-5)])
async def test_a_url_lasts_between_a_second_and_seven_days(store: ObjectStorage, expires: timedelta) -> None:
    with pytest.raises(ValueError, match="1 second to 7 days"):
        await store.presigned_get("any", expires=expires)


async def test_reading_whole_refuses_more_than_the_limit(store: ObjectStorage) -> None:
    await put(store, "big", b"x" * 1_000)

    with pytest.raises(StorageError, match="larger than expected"):
        await read_whole(store, "big", max_bytes=999)


async def test_many_processes_may_make_the_bucket_at_once(gateway: Gateway) -> None:
    stores = [gateway.storage("race") for _ in range(8)]

    await asyncio.gather(*(store.prepare() for store in stores))
    await put(stores[0], "seen", b"by all")

    assert await read_whole(stores[7], "seen", max_bytes=10) == b"by all"
    await asyncio.gather(*(store.close() for store in stores))


async def test_a_bucket_that_was_open_to_everybody_is_closed_by_prepare(gateway: Gateway) -> None:
    store = gateway.storage("was-public")
    await store.prepare()
    await put(store, "secret", b"x")
    owner = Minio(urlsplit(gateway.url).netloc, USER, PASSWORD, secure=False, region="us-east-1")
    everybody_reads = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["*"]},'
        ' "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::was-public/*"]}]}'
    )

    async with aiohttp.ClientSession() as connections:
        owner.set_session(connections)
        await owner.set_bucket_policy("was-public", everybody_reads)
        before = await connections.get(f"{gateway.url}/was-public/secret")
        await store.prepare()
        after = await connections.get(f"{gateway.url}/was-public/secret")

    assert (before.status, after.status) == (200, 403)
    await store.close()


async def test_a_presigned_url_serves_the_picture_under_the_asked_name(gateway: Gateway, minio: MinioStorage) -> None:
    key = "a b/é+%.png"
    await put(minio, key, b"picture")

    url = await minio.presigned_get(key, expires=timedelta(minutes=5), filename='my "é".png')

    async with aiohttp.ClientSession() as browser, browser.get(URL(url, encoded=True)) as answer:
        assert answer.status == 200
        assert await answer.read() == b"picture"
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Disposition"] == (
            "attachment; filename=\"my ___.png\"; filename*=UTF-8''my%20%22%C3%A9%22.png"
        )


async def test_a_presigned_url_can_be_neither_changed_nor_used_late(gateway: Gateway, minio: MinioStorage) -> None:
    await put(minio, "one", b"1")
    await put(minio, "two", b"2")

    url = await minio.presigned_get("one", expires=timedelta(seconds=1))
    other = url.replace("/one?", "/two?")
    longer = url.replace("X-Amz-Expires=1&", "X-Amz-Expires=600&")

    async with aiohttp.ClientSession() as browser:
        assert [(await browser.get(URL(forged, encoded=True))).status for forged in (other, longer)] == [403, 403]
        async with asyncio.timeout(120):
            while (await browser.get(URL(url, encoded=True))).status == 200:  # noqa: ASYNC110 - the store's clock has no event
                await asyncio.sleep(0.1)


async def test_urls_are_signed_for_the_public_address(gateway: Gateway) -> None:
    port = urlsplit(gateway.url).port
    store = gateway.storage(public_url=f"http://localhost:{port}")
    await store.prepare()
    await put(store, "picture", b"seen from outside")

    url = await store.presigned_get("picture", expires=timedelta(minutes=5))

    assert url.startswith(f"http://localhost:{port}/")
    async with aiohttp.ClientSession() as browser, browser.get(URL(url, encoded=True)) as answer:
        assert await answer.read() == b"seen from outside"
    await store.close()


async def test_a_stream_that_was_left_gives_its_connection_back(gateway: Gateway) -> None:
    store = gateway.storage(max_connections=1)
    await store.prepare()
    await put(store, "long", os.urandom(8_000_000))

    for _ in range(3):
        stream = await store.get("long")
        await anext(stream)
        await stream.aclose()

    assert (await store.stat("long")).size_bytes == 8_000_000
    await store.close()


async def test_more_puts_than_connections_wait_their_turn(gateway: Gateway) -> None:
    store = gateway.storage(max_connections=2)
    await store.prepare()

    await asyncio.gather(*(put(store, f"p{number:02}", os.urandom(5_000)) for number in range(40)))

    assert len(await keys(store)) == 40
    await store.close()


async def test_a_closed_store_connects_anew(minio: MinioStorage) -> None:
    await put(minio, "one", b"x")
    await minio.close()

    assert await keys(minio) == ["one"]


async def test_wrong_credentials_are_a_refusal_with_the_stores_code(gateway: Gateway) -> None:
    store = gateway.storage("any-bucket", password="not-the-secret")

    with pytest.raises(StorageError) as error:
        await put(store, "x", b"x")

    assert error.value.facts == {"store_code": "SignatureDoesNotMatch", "status": 403}
    await store.close()


async def test_a_canceled_put_leaves_nothing(own_gateway: Gateway) -> None:
    await own_gateway.start()
    store = own_gateway.storage("pictures")
    await store.prepare()
    body = os.urandom(4_000_000)
    half_sent = asyncio.Event()

    async def stops_half_way() -> AsyncGenerator[bytes]:
        async for chunk in in_pieces(body[:2_000_000], 100_000):
            yield chunk
        half_sent.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(store.put(new("half", body), stops_half_way(), len(body)))
    await half_sent.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert await keys(store) == []
    own_gateway.stop()  # what the server still had in hand is decided now
    await own_gateway.start()
    assert await keys(store) == []
    await store.close()


async def test_a_store_killed_in_the_middle_of_a_put_has_nothing_of_it_afterwards(own_gateway: Gateway) -> None:
    await own_gateway.start()
    store = own_gateway.storage("pictures")
    await store.prepare()
    await put(store, "before", b"kept")
    body = os.urandom(4_000_000)

    async def kills_the_store() -> AsyncGenerator[bytes]:
        for number, start in enumerate(range(0, len(body), 100_000)):
            if number == 20:
                own_gateway.stop(signal.SIGKILL)
            yield body[start : start + 100_000]

    with pytest.raises(StorageUnavailable):
        await store.put(new("half", body), kills_the_store(), len(body))
    with pytest.raises(StorageUnavailable):
        await store.stat("before")

    await own_gateway.start()
    assert await keys(store) == ["before"]
    assert await read_whole(store, "before", max_bytes=10) == b"kept"
    await put(store, "half", body)
    assert (await store.stat("half")).size_bytes == len(body)
    await store.close()


async def test_a_full_store_says_so_and_keeps_what_it_has(small_gateway: Gateway) -> None:
    await small_gateway.start()
    store = small_gateway.storage("pictures")
    await store.prepare()
    body = os.urandom(4_000_000)

    async def fill() -> int:
        for number in range(10):
            try:
                await put(store, f"{number}.png", body)
            except StorageFull:
                return number
        pytest.fail("20 MB took 40 MB")

    stored = await fill()

    assert stored > 0
    assert await keys(store) == [f"{number}.png" for number in range(stored)]
    assert await read_whole(store, "0.png", max_bytes=len(body)) == body
    await store.close()
