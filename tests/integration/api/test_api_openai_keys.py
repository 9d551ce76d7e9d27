"""A key of the client's own at OpenAI's routes: it names the one request that was accepted with it, also of two at once."""

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest

from storage.base import NewObject, ObjectStorage, StoredObject
from tests.integration.api.openai_client import client_of, newest, succeed, worked_on
from tests.integration.api.running_api import Tenant, png

MINE = {"Idempotency-Key": "order-7"}
WORDS = ("a lighthouse made of glass", "a lighthouse made of paper")


class HeldUploads:
    """The first pictures that come wait in front of the store, each until it is let in."""

    def __init__(self, storage: ObjectStorage, count: int) -> None:
        self._put = storage.put
        self._came = asyncio.Semaphore(0)
        self._held = [asyncio.Event() for _ in range(count)]
        self._next = iter(self._held)

    async def put(self, new: NewObject, chunks: AsyncIterator[bytes], size_bytes: int) -> StoredObject:
        if held := next(self._next, None):
            self._came.release()
            await held.wait()
        return await self._put(new, chunks, size_bytes)

    async def one_more(self) -> None:
        await self._came.acquire()

    def let_in(self, place: int) -> None:
        self._held[place].set()


@pytest.mark.parametrize("first", [0, 1], ids=["the first is accepted first", "the second is accepted first"])
async def test_of_two_requests_under_one_key_at_once_one_gets_its_pictures_and_the_other_is_refused(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    uploads = HeldUploads(tenant.api.storage, 2)
    monkeypatch.setattr(tenant.api.storage, "put", uploads.put)
    async with client_of(tenant) as client:
        calls = []
        for words in WORDS:
            edit = client.images.edit(image=png(40, 30), prompt=words, extra_headers=MINE)
            calls.append(asyncio.ensure_future(edit))
            await uploads.one_more()
        uploads.let_in(first)
        generation_id = await newest(tenant)
        uploads.let_in(1 - first)
        await succeed(tenant, generation_id)
        ended = await asyncio.gather(*calls, return_exceptions=True)
        again = await client.images.edit(image=png(40, 30), prompt=WORDS[first], extra_headers=MINE)

    (row,) = await tenant.generations()
    refused = ended[1 - first]
    assert row["request"]["prompt"] == WORDS[first]
    assert ended[first] == again
    assert isinstance(refused, openai.ConflictError)
    assert refused.code == "idempotency_key_reused"


async def test_a_key_whose_request_was_refused_takes_the_corrected_one(tenant: Tenant) -> None:
    async def work() -> None:
        await succeed(tenant, await newest(tenant))

    async with client_of(tenant) as client:
        with pytest.raises(openai.NotFoundError):
            await client.images.generate(prompt=WORDS[0], model="nobody-1", extra_headers=MINE)
        async with worked_on(work):
            corrected = await client.images.generate(prompt=WORDS[0], extra_headers=MINE)

    assert corrected.data
