"""An application that speaks to OpenAI, unmodified but for its base URL and its key, on the whole product."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator

import httpx
import openai
import pytest
from PIL import Image

from tests.acceptance.client import PATIENCE_S, Diorama
from tests.integration.api.running_api import png

WORDS = "a lighthouse made of glass, at dusk"
THIRD_S = 20
AT_OPENAI = {"diorama": {"provider": "openai"}}


@pytest.fixture
async def client(diorama: Diorama) -> AsyncIterator[openai.AsyncOpenAI]:
    key = diorama.http.headers["Authorization"].removeprefix("Bearer ")
    async with openai.AsyncOpenAI(api_key=key, base_url=f"{diorama.stack.addresses().api_url}/v1") as client:
        yield client


def picture_of(encoded: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded or "")))


async def accounted_for(diorama: Diorama, *, count: int = 1) -> list[str]:
    """The newest generations' ids, which the audit at the end looks at; there are no more of this client's."""
    found = (await diorama.http.get("/v1/generations", params={"kind": "image", "limit": count})).json()["items"]
    ids = [str(one["id"]) for one in found]
    diorama.started += ids
    return ids


async def test_two_pictures_are_bought_once_each_and_come_in_the_size_asked_for(
    diorama: Diorama, client: openai.AsyncOpenAI
) -> None:
    await diorama.settings(drawing="full")  # the fast ones are thumbnails
    answer = await client.images.generate(model="gpt-image-2.5-flare", prompt=WORDS, n=2, size="640x640", quality="low")

    (generation_id,) = await accounted_for(diorama)
    assert answer.data is not None
    assert [picture_of(one.b64_json).size for one in answer.data] == [(640, 640)] * 2
    assert (answer.size, answer.quality, answer.output_format) == ("640x640", "low", "png")
    assert len(await diorama.charges(generation_id)) == 2


async def test_the_synchronous_client_gets_a_link_that_anybody_can_read(
    diorama: Diorama, client: openai.AsyncOpenAI
) -> None:
    def call() -> str:
        with openai.OpenAI(api_key=client.api_key, base_url=client.base_url) as same:
            data = same.images.generate(prompt=WORDS, response_format="url", output_format="webp").data
            return str(data[0].url) if data else ""

    url = await asyncio.to_thread(call)

    await accounted_for(diorama)
    async with httpx.AsyncClient(timeout=PATIENCE_S) as anybody:
        found = await anybody.get(url)
    assert Image.open(io.BytesIO(found.content)).format == "WEBP"


async def test_an_edit_of_two_pictures(diorama: Diorama, client: openai.AsyncOpenAI) -> None:
    await diorama.settings(drawing="full")  # the fast ones are thumbnails
    pictures = [("a.png", png(80, 64), "image/png"), ("b.png", png(64, 80), "image/png")]

    answer = await client.images.edit(image=list(pictures), prompt=WORDS, size="640x480")

    (generation_id,) = await accounted_for(diorama)
    seen = await diorama.get(generation_id)
    assert answer.data is not None
    assert picture_of(answer.data[0].b64_json).size == (640, 480)
    assert len(seen["request"]["image_asset_ids"]) == 2


async def test_a_refused_prompt_is_told_as_openai_tells_it_and_other_words_for_it_go_through(
    diorama: Diorama, client: openai.AsyncOpenAI
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.images.generate(prompt="a gory battle at dawn")

    (generation_id,) = await accounted_for(diorama)
    error = (await diorama.get(generation_id))["error"]
    again = await diorama.http.post(error["links"]["retry"], json={"prompt": error["suggested_prompt"]})
    ended = await diorama.ended(again.json()["id"])
    diorama.started.append(ended["id"])
    assert refused.value.code == "moderation_blocked"
    assert (ended["status"], ended["request"]["prompt"]) == ("succeeded", "a dramatic battle at dawn")


async def test_a_client_that_gives_up_early_and_comes_again_gets_the_picture_that_was_bought_once(
    diorama: Diorama, client: openai.AsyncOpenAI
) -> None:
    await diorama.settings(duration_s=3.0)
    impatient = client.with_options(timeout=1.0, max_retries=8)

    answer = await impatient.images.generate(prompt=WORDS)

    found = (await diorama.http.get("/v1/generations", params={"kind": "image", "limit": 2})).json()["items"]
    (generation_id,) = await accounted_for(diorama)
    assert answer.data is not None
    assert answer.data[0].b64_json
    assert len(await diorama.charges(generation_id)) == 1
    assert {one["status"] for one in found} <= {"succeeded", "failed"}


async def kinds_told(client: openai.AsyncOpenAI, *, edited: bool) -> AsyncIterator[str]:
    """The kinds of the events of a stream, as they come."""
    if edited:
        changed = await client.images.edit(
            image=png(80, 64), prompt=WORDS, stream=True, partial_images=2, extra_body=AT_OPENAI
        )
        async for change in changed:
            yield change.type
    else:
        made = await client.images.generate(prompt=WORDS, stream=True, partial_images=2, extra_body=AT_OPENAI)
        async for event in made:
            yield event.type


async def accepted_by_openai(diorama: Diorama) -> int:
    """How many pictures OpenAI was ever asked for and makes, or has made."""
    return len((await diorama.sandbox.get("/admin/charges", params={"provider": "openai"})).json())


@pytest.mark.parametrize("edited", [False, True], ids=["generated", "edited"])
async def test_a_stream_shows_openais_unfinished_pictures_before_the_finished_one(
    diorama: Diorama, client: openai.AsyncOpenAI, edited: bool
) -> None:
    # OpenAI shows one after each third of the time. The next third passes when that was seen, however long it took here.
    await diorama.settings(duration_s=3 * THIRD_S)
    before = await accepted_by_openai(diorama)
    told, kinds = kinds_told(client, edited=edited), list[str]()
    for _ in range(3):
        arriving = asyncio.ensure_future(anext(told))
        await diorama.until(lambda: accepted_by_openai(diorama), lambda count: count > before)
        await diorama.wind_sandbox(THIRD_S)
        kinds.append(await asyncio.wait_for(arriving, PATIENCE_S))
    assert [kind async for kind in told] == []

    await accounted_for(diorama)
    name = "image_edit" if edited else "image_generation"
    assert kinds == [f"{name}.partial_image", f"{name}.partial_image", f"{name}.completed"]


async def test_a_provider_without_unfinished_pictures_streams_the_finished_one(
    diorama: Diorama, client: openai.AsyncOpenAI
) -> None:
    at_replicate = {"diorama": {"provider": "replicate"}}
    stream = await client.images.generate(prompt=WORDS, stream=True, partial_images=3, extra_body=at_replicate)

    kinds = [event.type async for event in stream]

    await accounted_for(diorama)
    assert kinds == ["image_generation.completed"]
