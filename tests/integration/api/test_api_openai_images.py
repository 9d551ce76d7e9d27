"""OpenAI's image calls, by the openai client itself: what it asks is made once, and what it gets is OpenAI's shape."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx2
import openai
import pytest

from storage.memory import MemoryStorage
from tests.integration.api.openai_client import (
    PICTURES,
    TIMEOUT,
    GivesUpOnce,
    client_of,
    fail,
    newest,
    show_partial,
    succeed,
    worked_on,
)
from tests.integration.api.running_api import Tenant, eventually, new_tenant, png, running_api, settings_for

GENERATE = "/v1/images/generations"
WORDS = "a lighthouse made of glass"


def ending(
    tenant: Tenant, end: Callable[[Tenant, str], Awaitable[None]], count: int = 1
) -> Callable[[], Awaitable[None]]:
    """A worker that ends the newest generation, once there are so many."""

    async def work() -> None:
        await end(tenant, await newest(tenant, count))

    return work


def refused_as(code: str, **facts: Any) -> Callable[[Tenant, str], Awaitable[None]]:
    async def end(tenant: Tenant, generation_id: str) -> None:
        await fail(tenant, generation_id, code, **facts)

    return end


async def test_pictures_come_as_they_are_in_the_store(tenant: Tenant) -> None:
    async def two(tenant: Tenant, generation_id: str) -> None:
        await succeed(tenant, generation_id, *PICTURES[:2])

    async with client_of(tenant) as client, worked_on(ending(tenant, two)):
        answer = await client.images.with_raw_response.generate(prompt=WORDS, n=2, quality="hd", user="u-1")

    parsed = answer.parse()
    (row,) = await tenant.generations()
    assert parsed.data is not None
    assert [base64.b64decode(one.b64_json or "") for one in parsed.data] == list(PICTURES[:2])
    assert (parsed.size, parsed.quality, parsed.output_format, parsed.background) == ("64x48", "high", "png", "opaque")
    assert parsed.usage is None
    assert answer.headers["x-diorama-generation"] == row["id"]
    assert (row["kind"], row["request"]["count"], row["request"]["prompt"]) == ("image", 2, WORDS)
    assert [tag.partition(".")[0] for tag in row["tags"]] == ["user"]
    assert row["user_id"] == "u-1"


async def test_the_synchronous_client_works_as_well(tenant: Tenant) -> None:
    def call() -> str | None:
        given: dict[str, Any] = {"max_retries": 0, "timeout": TIMEOUT}
        with openai.OpenAI(api_key=tenant.key, base_url=f"{tenant.api.url}/v1", **given) as client:
            data = client.images.generate(prompt=WORDS).data
            return data[0].b64_json if data else None

    async with worked_on(ending(tenant, succeed)):
        encoded = await asyncio.to_thread(call)

    assert base64.b64decode(encoded or "") == PICTURES[0]


async def test_links_need_no_key_and_last_an_hour(tenant: Tenant) -> None:
    async with client_of(tenant) as client, worked_on(ending(tenant, succeed)):
        answer = await client.images.generate(prompt=WORDS, response_format="url")

    assert answer.data is not None
    assert answer.data[0].b64_json is None
    assert "expires=3600" in str(answer.data[0].url)


async def test_an_edit_brings_its_pictures_in_the_order_given(tenant: Tenant) -> None:
    pictures = [io.BytesIO(png(40, 30)), io.BytesIO(png(30, 40))]
    for number, picture in enumerate(pictures):
        picture.name = f"{number}.png"
    async with client_of(tenant) as client, worked_on(ending(tenant, succeed)):
        answer = await client.images.edit(
            image=list(pictures),
            prompt=WORDS,
            size="1024x1024",
            extra_body={"diorama": {"tags": ["a", "b"], "deadline_s": 70}},
        )

    (row,) = await tenant.generations()
    given = [(await tenant.client.get(f"/v1/assets/{one}")).json() for one in row["request"]["image_asset_ids"]]
    assert answer.data is not None
    assert [(one["width"], one["height"], one["role"]) for one in given] == [(40, 30, "input"), (30, 40, "input")]
    assert (row["tags"], row["request"]["deadline_s"]) == (["a", "b"], 70)


async def test_an_edit_in_json_takes_data_uris(tenant: Tenant) -> None:
    uri = f"data:image/png;base64,{base64.b64encode(png(40, 30)).decode()}"
    async with worked_on(ending(tenant, succeed)):
        answer = await tenant.client.post("/v1/images/edits", json={"prompt": WORDS, "images": [{"image_url": uri}]})

    (row,) = await tenant.generations()
    assert answer.status_code == 200, answer.text
    assert len(row["request"]["image_asset_ids"]) == 1


@pytest.mark.parametrize(
    ("wrong", "param", "code"),
    [
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": "x" * 32_001}, "prompt", "string_above_max_length"),
        ({"n": 11}, "n", "invalid_value"),
        ({"size": "huge"}, "size", "invalid_value"),
        ({"quality": "max"}, "quality", "invalid_value"),
        ({"colour": "red"}, "colour", "unknown_parameter"),
        ({"style": "vivid"}, "style", "unsupported_parameter"),
        ({"mask": "x"}, "mask", "unsupported_parameter"),
        ({"background": "transparent", "output_format": "jpeg"}, "background", "invalid_value"),
        ({"partial_images": 2}, "partial_images", "invalid_value"),
        ({"diorama": {"strategy": "luck"}}, "diorama.strategy", "invalid_value"),
    ],
)
async def test_a_wrong_parameter_is_named_and_nothing_is_accepted(
    tenant: Tenant, wrong: dict[str, Any], param: str, code: str
) -> None:
    answer = await tenant.client.post(GENERATE, json={"prompt": WORDS} | wrong)

    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"], error["code"]) == (
        400,
        "invalid_request_error",
        param,
        code,
    )
    assert answer.headers["x-should-retry"] == "false"
    assert await tenant.generations() == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'["a"]', "application/json", 400),
        (b"prompt=a", "application/x-www-form-urlencoded", 415),
        (b"--x\r\n", "multipart/form-data; boundary=y", 400),
        (b"", "multipart/form-data", 400),
    ],
)
@pytest.mark.parametrize("path", [GENERATE, "/v1/images/edits"])
async def test_a_body_that_is_none_gets_an_error_in_the_same_shape(
    tenant: Tenant, path: str, body: bytes, content_type: str, status: int
) -> None:
    answer = await tenant.client.post(path, content=body, headers={"Content-Type": content_type})

    expected = 415 if path == GENERATE and content_type.startswith("multipart") else status
    assert answer.status_code == expected, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_wrong_key_is_an_authentication_error(tenant: Tenant) -> None:
    async with client_of(tenant, api_key="sk-wrong") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.images.generate(prompt=WORDS)

    assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(("model", "said"), [("nobody-1", "no model"), ("dall-e-3", "gpt-image-2.5-flare")])
async def test_a_model_that_is_not_there_is_not_found_and_a_former_one_names_its_successor(
    tenant: Tenant, model: str, said: str
) -> None:
    async with client_of(tenant) as client:
        with pytest.raises(openai.NotFoundError, match=said) as refused:
            await client.images.generate(prompt=WORDS, model=model)

    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


async def test_a_refusal_of_the_safety_filter_tells_its_categories_and_is_not_repeated(tenant: Tenant) -> None:
    end = refused_as("policy_refused", category="sexual, violence", stage="output")
    async with client_of(tenant, max_retries=2) as client, worked_on(ending(tenant, end)):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.images.generate(prompt=WORDS)

    body: Any = refused.value.body
    assert refused.value.code == "moderation_blocked"
    assert refused.value.type == "image_generation_user_error"
    assert body["moderation_details"] == {"moderation_stage": "output", "categories": ["sexual", "violence"]}
    assert len(await tenant.generations()) == 1


async def test_a_client_that_gave_up_and_comes_again_finds_the_same_generation(tenant: Tenant) -> None:
    async with impatient_client(tenant) as client:
        call = asyncio.ensure_future(client.images.generate(prompt=WORDS))
        first = await newest(tenant)
        await _attempts(tenant, 1)
        await succeed(tenant, first)
        answer = await call

    assert answer.data is not None
    assert base64.b64decode(answer.data[0].b64_json or "") == PICTURES[0]
    assert len(await tenant.generations()) == 1


@asynccontextmanager
async def impatient_client(tenant: Tenant) -> AsyncIterator[openai.AsyncOpenAI]:
    """One that gives its first request up when the generation is there, and then comes again."""
    async with (
        httpx2.AsyncClient(transport=GivesUpOnce(lambda: newest(tenant))) as wire,
        client_of(tenant, max_retries=2, http_client=wire) as client,
    ):
        yield client


async def _attempts(tenant: Tenant, number: int) -> None:
    """Wait until a repetition with this number has come."""
    query = "select 1 from compatible_call where tenant_id = :id and attempt >= :number"
    await eventually(lambda: tenant.api.ask(query, id=tenant.id, number=number))


async def test_a_repeated_edit_finds_the_same_generation_and_stores_no_picture_twice(tenant: Tenant) -> None:
    async with impatient_client(tenant) as client:
        call = asyncio.ensure_future(client.images.edit(image=png(40, 30), prompt=WORDS))
        first = await newest(tenant)
        await _attempts(tenant, 1)
        await succeed(tenant, first)
        await call

    counted = await tenant.counts()
    assert (counted["generation"], counted["asset"]) == (1, 1)


async def test_equal_calls_at_once_are_two_and_a_further_one_after_the_answer_is_a_third(tenant: Tenant) -> None:
    async with client_of(tenant) as client:
        calls = [asyncio.ensure_future(client.images.generate(prompt=WORDS)) for _ in range(2)]
        await newest(tenant, 2)
        for row in await tenant.generations():
            await succeed(tenant, row["id"])
        await asyncio.gather(*calls)
        async with worked_on(ending(tenant, succeed, count=3)):
            await client.images.generate(prompt=WORDS)

    assert len(await tenant.generations()) == 3


async def test_a_key_of_the_clients_own_names_one_generation_for_ever(tenant: Tenant) -> None:
    mine = {"Idempotency-Key": "order-7"}
    async with client_of(tenant) as client:
        async with worked_on(ending(tenant, succeed)):
            first = await client.images.generate(prompt=WORDS, extra_headers=mine)
        again = await client.images.generate(prompt=WORDS, extra_headers=mine)
        with pytest.raises(openai.ConflictError) as refused:
            await client.images.generate(prompt="something else", extra_headers=mine)

    assert again == first
    assert refused.value.code == "idempotency_key_reused"
    assert len(await tenant.generations()) == 1


async def test_the_same_word_as_a_key_of_the_native_api_is_another_key(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "order-7"}
    native = {"kind": "image", "prompt": "a fox"}
    assert (await tenant.client.post("/v1/generations", json=native, headers=headers)).status_code == 202
    async with client_of(tenant) as client, worked_on(ending(tenant, succeed, count=2)):
        await client.images.generate(prompt=WORDS, extra_headers=headers)

    assert len(await tenant.generations()) == 2


async def test_a_busy_provider_is_a_rate_limit_and_the_clients_repetition_is_a_new_generation(tenant: Tenant) -> None:
    async def work() -> None:
        await fail(tenant, await newest(tenant), "provider_busy", retry_after_s=0.5, billed="no")
        await succeed(tenant, await newest(tenant, 2))

    async with client_of(tenant, max_retries=1) as client, worked_on(work):
        answer = await client.images.generate(prompt=WORDS)

    assert answer.data is not None
    assert sorted(row["status"] for row in await tenant.generations()) == ["failed", "succeeded"]


@pytest.mark.parametrize(
    ("code", "facts", "error", "told"),
    [
        ("provider_busy", {"billed": "no"}, openai.RateLimitError, "rate_limit_exceeded"),
        ("deadline_exceeded", {"billed": "unknown"}, openai.InternalServerError, "deadline_exceeded"),
        ("model_failed", {"billed": "no"}, openai.InternalServerError, "model_failed"),
        ("provider_rejected_input", {"billed": "no"}, openai.BadRequestError, "invalid_value"),
        ("storage_full", {"billed": "yes"}, openai.InternalServerError, "storage_full"),
    ],
)
async def test_a_failure_has_its_class_in_the_client_and_none_is_bought_again_under_a_key(
    tenant: Tenant, code: str, facts: dict[str, Any], error: type[openai.APIStatusError], told: str
) -> None:
    end = refused_as(code, **facts)
    async with client_of(tenant, max_retries=2) as client, worked_on(ending(tenant, end)):
        with pytest.raises(error) as refused:
            await client.images.generate(prompt=WORDS, extra_headers={"Idempotency-Key": "one"})

    assert refused.value.code == told
    assert len(await tenant.generations()) == 1


async def test_a_deadline_is_not_repeated_as_it_may_have_been_paid(tenant: Tenant) -> None:
    end = refused_as("deadline_exceeded", billed="unknown")
    async with client_of(tenant, max_retries=2) as client, worked_on(ending(tenant, end)):
        with pytest.raises(openai.InternalServerError) as refused:
            await client.images.generate(prompt=WORDS)

    assert refused.value.status_code == 504
    assert len(await tenant.generations()) == 1


async def test_what_people_have_to_decide_is_a_conflict_that_names_the_generation(tenant: Tenant) -> None:
    async def review(tenant: Tenant, generation_id: str) -> None:
        failure = {"code": "outcome_unknown", "detail": "It is not known", "step": "variant-1", "facts": {}}
        await tenant.finish(generation_id, "needs_review", error=failure)

    async with client_of(tenant, max_retries=2) as client, worked_on(ending(tenant, review)):
        with pytest.raises(openai.ConflictError) as refused:
            await client.images.generate(prompt=WORDS)

    (row,) = await tenant.generations()
    assert refused.value.code == "needs_review"
    assert refused.value.response.headers["x-diorama-generation"] == row["id"]
    assert row["id"] in refused.value.message


async def test_a_client_that_leaves_cancels_nothing(tenant: Tenant) -> None:
    assert await tenant.generations() == []
    connections = tenant.api.server.server_state.connections
    before = connections.copy()
    async with client_of(tenant) as client:
        call = asyncio.ensure_future(client.images.generate(prompt=WORDS))
        await newest(tenant)
        its_own = connections - before
        assert its_own
        assert not call.done()
        call.cancel()

    async def is_gone() -> bool:
        return not its_own & connections

    await eventually(is_gone)

    (row,) = await tenant.generations()
    assert not row["cancel_requested"]


async def test_a_stream_shows_unfinished_pictures_and_ends_with_the_finished_one(tenant: Tenant) -> None:
    async def work() -> None:
        generation_id = await newest(tenant)
        await show_partial(tenant, generation_id, 0, PICTURES[1])
        await shown.wait()
        await show_partial(tenant, generation_id, 1, PICTURES[2])
        await succeed(tenant, generation_id)

    shown = asyncio.Event()
    seen = []
    async with client_of(tenant) as client, worked_on(work):
        async for event in await client.images.generate(prompt=WORDS, stream=True, partial_images=2):
            seen.append((event.type, base64.b64decode(event.b64_json)))
            shown.set()

    (row,) = await tenant.generations()
    assert row["request"]["traits"]["partials"] == 2
    assert seen[0] == ("image_generation.partial_image", PICTURES[1])
    assert seen[-1] == ("image_generation.completed", PICTURES[0])
    assert len(seen) == 3


async def test_a_streamed_edit_has_events_of_its_own(tenant: Tenant) -> None:
    async with client_of(tenant) as client, worked_on(ending(tenant, succeed)):
        events = [event async for event in await client.images.edit(image=png(40, 30), prompt=WORDS, stream=True)]

    assert [event.type for event in events] == ["image_edit.completed"]
    assert events[0].to_dict()["usage"] is None


async def test_a_stream_that_is_refused_at_first_sight_has_its_own_status(tenant: Tenant) -> None:
    end = refused_as("policy_refused", category="sexual", stage="input")
    async with client_of(tenant) as client, worked_on(ending(tenant, end)):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.images.generate(prompt=WORDS, stream=True, partial_images=1)

    assert refused.value.code == "moderation_blocked"


async def test_a_failure_in_the_middle_of_a_stream_is_its_last_event(tenant: Tenant) -> None:
    async def work() -> None:
        generation_id = await newest(tenant)
        await show_partial(tenant, generation_id, 0, PICTURES[1])
        await shown.wait()
        await fail(tenant, generation_id, "policy_refused", category="sexual", stage="output")

    shown = asyncio.Event()
    async with client_of(tenant) as client, worked_on(work):
        stream = await client.images.generate(prompt=WORDS, stream=True, partial_images=1)
        await anext(stream)
        shown.set()
        with pytest.raises(openai.APIError) as refused:
            await anext(stream)

    assert refused.value.code == "moderation_blocked"


async def test_a_partial_that_is_gone_meanwhile_is_left_out(tenant: Tenant) -> None:
    async def work() -> None:
        generation_id = await newest(tenant)
        await tenant.tell(generation_id, "picture.partial", step="variant-1", asset_id=str(UUID(int=1)), index=0)
        await succeed(tenant, generation_id)

    async with client_of(tenant) as client, worked_on(work):
        events = [event async for event in await client.images.generate(prompt=WORDS, stream=True, partial_images=1)]

    assert [event.type for event in events] == ["image_generation.completed"]


async def test_a_call_that_waits_when_the_api_stops_is_told_to_come_again(api_database_url: str) -> None:
    settings = settings_for(api_database_url, "127.0.0.1:9")
    async with running_api(settings, MemoryStorage()) as stopping, new_tenant(stopping) as tenant:
        call = asyncio.ensure_future(tenant.client.post(GENERATE, json={"prompt": WORDS}))
        generation_id = await newest(tenant)

        stopping.server.should_exit = True
        answer = await call

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "still_running")
    assert answer.headers["x-should-retry"] == "true"
    assert answer.headers["x-diorama-generation"] == generation_id
