"""A purchase at OpenAI whose answer comes as a stream: unfinished pictures are shown, and the money is as safe as without."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from contracts.wishes import PictureTraits
from errors import OutcomeUnknown, PolicyRefused, ProviderBusy
from providers.base import FinishedPicture, Purchase
from providers.catalog import Catalog
from providers.openai_images import OpenAIImagesProvider
from providers.server_sent_events import EventReader, EventTooLarge
from tests.provider_server import Reply, Script, Server, json_reply, provider_server

PNG = b"\x89PNG\r\n\x1a\n and so on"
USAGE = {
    "input_tokens": 150,
    "input_tokens_details": {"text_tokens": 50, "image_tokens": 100},
    "output_tokens": 400,
    "total_tokens": 550,
}
Frames = list[dict[str, object]]


def partial(number: object, body: bytes = b"half") -> dict[str, object]:
    encoded = base64.b64encode(body).decode()
    return {"type": "image_generation.partial_image", "partial_image_index": number, "b64_json": encoded}


COMPLETED: dict[str, object] = {
    "type": "image_generation.completed",
    "b64_json": base64.b64encode(PNG).decode(),
    "usage": USAGE,
}


def stream(frames: Frames, *, cut_after: int | None = None) -> Reply:
    body = "".join(f"event: {frame.get('type')}\ndata: {json.dumps(frame)}\n\n" for frame in frames)
    return Reply(200, body.encode(), {"Content-Type": "text/event-stream; charset=utf-8"}, cut_after)


@asynccontextmanager
async def openai(script: Script) -> AsyncIterator[tuple[OpenAIImagesProvider, Server]]:
    async with provider_server(script) as server:
        provider = OpenAIImagesProvider(base_url=f"{server.url}/v1", key=SecretStr("secret"), catalog=Catalog.load())
        try:
            yield provider, server
        finally:
            await provider.close()


class Watcher:
    def __init__(self) -> None:
        self.seen: list[tuple[int, bytes]] = []

    def __call__(self, number: int, body: bytes) -> None:
        self.seen.append((number, body))

    def purchase(self, partials: int = 2) -> Purchase:
        return Purchase(
            token="token-1",
            model="gpt-image-2.5-flare",
            prompt="a fox",
            quality="high",
            size=(1024, 1024),
            shape="square",
            references=(),
            deadline_s=90,
            traits=PictureTraits(partials=partials),
            on_partial=self,
        )


async def test_unfinished_pictures_are_shown_and_the_last_event_is_the_answer() -> None:
    watcher = Watcher()
    async with openai(lambda _: stream([partial(0, b"dim"), partial(1, b"dimmer"), COMPLETED])) as (provider, server):
        finished = await provider.submit(watcher.purchase())

    sent = server.requests[0].json()
    assert (sent["stream"], sent["partial_images"]) == (True, 2)
    assert watcher.seen == [(0, b"dim"), (1, b"dimmer")]
    assert isinstance(finished, FinishedPicture)
    assert finished.body == PNG
    assert finished.cost_usd is not None


async def test_a_large_unfinished_picture_is_handed_over_on_the_event_loop() -> None:
    large = b"half" * 100_000
    loops = []

    def watch(_number: int, body: bytes) -> None:
        loops.append((asyncio.get_running_loop(), body))

    async with openai(lambda _: stream([partial(0, large), COMPLETED])) as (provider, _):
        await provider.submit(replace(Watcher().purchase(), on_partial=watch))

    assert loops == [(asyncio.get_running_loop(), large)]


async def test_nothing_is_streamed_for_who_does_not_watch() -> None:
    watcher = Watcher()
    answer = json_reply({"data": [{"b64_json": base64.b64encode(PNG).decode()}]})
    async with openai(lambda _: answer) as (provider, server):
        await provider.submit(watcher.purchase(partials=0))
        await provider.submit(replace(watcher.purchase(), on_partial=None))

    assert all("stream" not in request.json() for request in server.requests)


async def test_who_gets_no_stream_although_one_was_asked_for_takes_the_picture() -> None:
    answer = json_reply({"data": [{"b64_json": base64.b64encode(PNG).decode()}]})
    async with openai(lambda _: answer) as (provider, _):
        finished = await provider.submit(Watcher().purchase())

    assert isinstance(finished, FinishedPicture)
    assert finished.body == PNG


@pytest.mark.parametrize("cut_after", [0, 1, 100, 250])
async def test_a_stream_that_breaks_leaves_the_outcome_unknown(cut_after: int) -> None:
    async with openai(lambda _: stream([partial(0), COMPLETED], cut_after=cut_after)) as (provider, _):
        with pytest.raises(OutcomeUnknown):
            await provider.submit(Watcher().purchase())


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [partial(0)],
        [partial(0), {"type": "error", "error": {"code": "server_error", "message": "sorry"}}],
        [{"error": {"code": "rate_limit_exceeded", "message": "later"}}],
    ],
)
async def test_a_stream_without_a_finished_picture_leaves_the_outcome_unknown(frames: Frames) -> None:
    async with openai(lambda _: stream(frames)) as (provider, _):
        with pytest.raises(OutcomeUnknown):
            await provider.submit(Watcher().purchase())


async def test_the_safety_filters_word_in_the_middle_of_a_stream_is_definite() -> None:
    details = {"moderation_stage": "output", "categories": ["sexual"]}
    failed: dict[str, object] = {
        "type": "error",
        "error": {"code": "moderation_blocked", "moderation_details": details},
    }
    async with openai(lambda _: stream([partial(0), failed])) as (provider, _):
        with pytest.raises(PolicyRefused) as refused:
            await provider.submit(Watcher().purchase())

    assert (refused.value.billed, refused.value.facts["category"]) == ("yes", "sexual")


async def test_a_refusal_before_the_stream_is_the_same_as_ever() -> None:
    body = {"error": {"code": "rate_limit_exceeded", "message": "Please try again in 3s."}}
    async with openai(lambda _: json_reply(body, 429)) as (provider, _):
        with pytest.raises(ProviderBusy) as busy:
            await provider.submit(Watcher().purchase())

    assert busy.value.retry_after_s == 3


@pytest.mark.parametrize("odd", [partial(7), partial("x"), partial(-1), {"type": "image_generation.partial_image"}])
async def test_an_unfinished_picture_that_makes_no_sense_is_left_out(odd: dict[str, object]) -> None:
    watcher = Watcher()
    async with openai(lambda _: stream([odd, COMPLETED])) as (provider, _):
        await provider.submit(watcher.purchase())

    assert watcher.seen == []


EVENTS = st.lists(st.binary(min_size=1, max_size=20).filter(lambda data: b"\n" not in data and b"\r" not in data))


@given(events=EVENTS, ends=st.sampled_from([b"\n", b"\r\n"]), cuts=st.lists(st.integers(0, 400)))
def test_events_are_the_same_however_their_bytes_come(events: list[bytes], ends: bytes, cuts: list[int]) -> None:
    wire = b"".join(b"event: x" + ends + b"data: " + data + ends + ends for data in events)
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    reader = EventReader(1000)

    read = [data for start, end in pairwise(places) for data in reader.feed(wire[start:end])]

    assert read == events


def test_comments_and_other_fields_are_no_events() -> None:
    assert list(EventReader(100).feed(b": still there\n\nid: 7\n\ndata: a\ndata: b\n\n")) == [b"a\nb"]


def test_an_event_without_an_end_is_not_held_for_ever() -> None:
    reader = EventReader(100)
    assert list(reader.feed(b"data: " + b"0" * 90)) == []

    with pytest.raises(EventTooLarge):
        list(reader.feed(b"1" * 10))
