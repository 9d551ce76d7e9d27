"""The unmodified openai client talks to the sandbox as it talks to OpenAI."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from jsonschema import Draft202012Validator
from openai.types import ModerationImageURLInputParam, ModerationTextInputParam
from PIL import Image

from tests.integration.patience import HTTP_S, waiting_for
from tests.sandbox_server import SandboxServer, start_sandbox

SPECS = Path(__file__).parents[1] / "specs"
MODEL = "gpt-image-2"


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("openai"), openai_key="sk-right-key") as server:
        yield server


@pytest.fixture
async def client(sandbox: SandboxServer) -> AsyncIterator[openai.AsyncOpenAI]:
    await sandbox.reset()
    async with openai.AsyncOpenAI(api_key="sk-right-key", base_url=sandbox.openai_url, max_retries=0) as client:
        yield client


def conforms(schema: str, body: Any) -> None:
    specification = json.loads((SPECS / "openai.json").read_text())
    root = {"$ref": f"#/components/schemas/{schema}", "components": specification["components"]}
    Draft202012Validator(root).validate(body)


def picture_of(item: Any) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(item.b64_json)))


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, "PNG")
    return buffer.getvalue()


async def test_images_are_generated_with_usage_and_billed_by_it(
    client: openai.AsyncOpenAI, sandbox: SandboxServer
) -> None:
    answer = await client.images.generate(
        model=MODEL, prompt="a lake", n=2, size="1536x1024", quality="high", output_format="webp", user="u1"
    )

    assert answer.data is not None
    assert answer.usage is not None
    assert [picture_of(item).format for item in answer.data] == ["WEBP", "WEBP"]
    conforms("ImagesResponse", answer.to_dict(mode="json"))
    charges = await sandbox.charges(provider="openai", billed="true")
    assert [(row["user_id"], row["amount_usd"]) for row in charges] == [
        ("u1", pytest.approx(answer.usage.input_tokens * 5e-6 + answer.usage.output_tokens * 30e-6))
    ]
    assert charges[0]["amount_usd"] == pytest.approx(2 * 0.165, abs=0.001)


async def test_a_dear_picture_takes_more_tokens_than_its_price_and_they_are_charged(
    client: openai.AsyncOpenAI, sandbox: SandboxServer
) -> None:
    prompts = ("a lake", "a lake [[sandbox fault=dear factor=3]]")
    usual, dear = [(await client.images.generate(model=MODEL, prompt=prompt)).usage for prompt in prompts]

    assert usual is not None
    assert dear is not None
    assert dear.output_tokens == 3 * usual.output_tokens
    charges = await sandbox.charges(provider="openai", billed="true")
    assert charges[1]["amount_usd"] == pytest.approx(dear.input_tokens * 5e-6 + dear.output_tokens * 30e-6)


async def test_an_edit_with_two_images_counts_their_tokens(client: openai.AsyncOpenAI) -> None:
    answer = await client.images.edit(
        model=MODEL, image=[("a.png", png("red")), ("b.png", png("blue"))], prompt="both in a lake", size="1920x1088"
    )

    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 2 * 1400
    assert getattr(answer, "size", None) == "1920x1088"


async def test_an_edit_with_one_image_as_json_works_too(sandbox: SandboxServer) -> None:
    uri = f"data:image/png;base64,{base64.b64encode(png('red')).decode()}"
    headers = {"authorization": "Bearer sk-right-key"}
    body = {"model": MODEL, "prompt": "in a lake", "images": [{"image_url": uri}]}

    answer = await sandbox.admin.post(f"{sandbox.openai_url}/images/edits", json=body, headers=headers)

    assert answer.status_code == 200
    assert answer.json()["usage"]["input_tokens_details"]["image_tokens"] == 1400


async def test_a_streamed_image_comes_with_its_partials(client: openai.AsyncOpenAI) -> None:
    stream = await client.images.generate(model=MODEL, prompt="a lake", stream=True, partial_images=2)
    events = [event async for event in stream]

    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    conforms("ImageGenPartialImageEvent", events[0].to_dict(mode="json"))
    conforms("ImageGenCompletedEvent", events[2].to_dict(mode="json"))
    assert picture_of(events[0]).size == picture_of(events[2]).size


async def test_a_side_that_is_no_multiple_of_sixteen_is_refused_in_openais_words(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.images.generate(model=MODEL, prompt="a lake", size="1920x1080")

    assert refused.value.body["message"] == (  # type: ignore[index]
        "Invalid size '1920x1080'. Width and height must both be divisible by 16."
    )
    assert (refused.value.param, refused.value.code) == ("size", "invalid_value")


@pytest.mark.parametrize(
    ("prompt", "stage", "charges"),
    [
        ("a naked man", "input", 0),
        ("a lake [[sandbox fault=input_policy category=violence]]", "input", 0),
        ("a lake [[sandbox fault=output_policy]]", "output", 1),
    ],
)
async def test_moderation_blocks_at_both_stages_and_bills_the_output_one(
    client: openai.AsyncOpenAI, sandbox: SandboxServer, prompt: str, stage: str, charges: int
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.images.generate(model=MODEL, prompt=prompt)

    body: Any = refused.value.body
    assert (refused.value.code, refused.value.type) == ("moderation_blocked", "image_generation_user_error")
    assert body["moderation_details"]["moderation_stage"] == stage
    assert body["request_id"] == refused.value.request_id
    assert len(await sandbox.charges(billed="true")) == charges


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("rate_limited retry_after=7", openai.RateLimitError, "rate_limit_exceeded"),
        ("insufficient_credit", openai.RateLimitError, "insufficient_quota"),
        ("unauthenticated", openai.AuthenticationError, None),
        ("server_error", openai.InternalServerError, None),
        ("server_error status=503", openai.InternalServerError, None),
        ("infra_error", openai.InternalServerError, "server_error"),
        ("lost_response", openai.APIConnectionError, None),
        ("reset_before_accept", openai.APIConnectionError, None),
    ],
)
async def test_faults_arrive_as_the_clients_own_exceptions(
    client: openai.AsyncOpenAI, fault: str, error: type[openai.APIError], code: str | None
) -> None:
    with pytest.raises(error) as refused:
        await client.images.generate(model=MODEL, prompt=f"a lake [[sandbox fault={fault}]]")

    assert refused.value.code == code


async def test_a_rate_limit_tells_the_client_when_to_come_back(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as refused:
        await client.images.generate(model=MODEL, prompt="a lake [[sandbox fault=rate_limited retry_after=7]]")

    assert refused.value.response.headers["retry-after"] == "7"
    assert "try again in 7s" in refused.value.message


async def test_a_lost_answer_is_billed_all_the_same(client: openai.AsyncOpenAI, sandbox: SandboxServer) -> None:
    with pytest.raises(openai.APIConnectionError):
        await client.images.generate(model=MODEL, prompt="a lake [[sandbox fault=lost_response]]", user="u9")

    summary = (await sandbox.summary())["openai"]
    assert (summary["billed"], summary["creates_by_status"]) == (1, {"0": 1})


async def test_models_die_on_their_date_on_the_sandboxes_clock(
    client: openai.AsyncOpenAI, sandbox: SandboxServer
) -> None:
    await sandbox.admin.post("/admin/clock", json={"at": "2026-10-22T23:59:00Z"})
    alive = await client.images.generate(model="gpt-image-1", prompt="a lake")
    told: Any = await client.models.retrieve("gpt-image-1")
    await sandbox.advance(60)

    assert alive.data
    assert str(told.shutdown_date).startswith("2026-10-23")
    with pytest.raises(openai.NotFoundError) as gone:
        await client.images.generate(model="gpt-image-1", prompt="a lake")
    assert (gone.value.code, gone.value.message.count("has been deprecated")) == ("model_not_found", 1)
    assert "gpt-image-1" not in [model.id async for model in client.models.list()]


async def test_an_unknown_parameter_and_a_misplaced_fidelity_are_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as unknown:
        await client.images.generate(model=MODEL, prompt="a lake", extra_body={"response_format": "url"})
    with pytest.raises(openai.BadRequestError) as misplaced:
        await client.images.edit(model=MODEL, prompt="a lake", image=("a.png", png("red")), input_fidelity="high")

    assert (unknown.value.code, unknown.value.param) == ("unknown_parameter", "response_format")
    assert misplaced.value.param == "input_fidelity"


async def test_moderations_flag_by_category_and_cost_nothing(
    client: openai.AsyncOpenAI, sandbox: SandboxServer
) -> None:
    answer = await client.moderations.create(model="omni-moderation-latest", input=["a quiet lake", "gore everywhere"])
    mixed: list[ModerationTextInputParam | ModerationImageURLInputParam] = [
        {"type": "text", "text": "a lake"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    parts = await client.moderations.create(input=mixed)

    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.violence_graphic
    assert parts.results[0].category_applied_input_types.violence == ["text", "image"]
    conforms("CreateModerationResponse", answer.to_dict(mode="json"))
    assert await sandbox.charges() == []


async def test_a_wrong_key_is_refused_without_being_told_in_full(sandbox: SandboxServer) -> None:
    async with openai.AsyncOpenAI(api_key="sk-wrong-secret-key", base_url=sandbox.openai_url) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.images.generate(model=MODEL, prompt="a lake")

    assert refused.value.code == "invalid_api_key"
    assert "wrong-secret" not in refused.value.message


async def test_a_client_that_leaves_before_the_answer_pays(sandbox: SandboxServer) -> None:
    await sandbox.reset()
    headers = {"authorization": "Bearer sk-right-key"}
    timeout = httpx.Timeout(HTTP_S, read=0.3)
    async with httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False) as impatient:
        with pytest.raises(httpx.ReadTimeout):
            await impatient.post(
                f"{sandbox.openai_url}/images/generations", json={"prompt": "a lake [[sandbox fault=stuck]]"}
            )

    async with waiting_for("a charge"):
        while not await sandbox.charges(billed="true"):  # noqa: ASYNC110 the change happens in another process
            await asyncio.sleep(0.01)

    assert [row["billed"] for row in await sandbox.charges()] == [True]
