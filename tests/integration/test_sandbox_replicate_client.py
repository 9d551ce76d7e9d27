"""The unmodified replicate 1.x client talks to the sandbox as it talks to Replicate."""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError

from tests.sandbox_server import SandboxServer, start_sandbox

MODEL = "openai/gpt-image-2"
SDXL = "stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("replicate-client"), replicate_token="r8_right") as server:
        yield server


@pytest.fixture
async def client(sandbox: SandboxServer) -> AsyncIterator[Any]:
    client = Client(api_token="r8_right", base_url=sandbox.replicate_url)
    client.poll_interval = 0.02
    yield client
    await client._async_client.aclose()


async def test_a_prediction_is_created_waited_for_and_downloaded(client: Any, sandbox: SandboxServer) -> None:
    prediction = await client.models.predictions.async_create(MODEL, input={"prompt": "a lake", "output_format": "png"})
    assert prediction.status == "starting"

    await prediction.async_wait()

    assert prediction.status == "succeeded"
    assert "Output token count" in prediction.logs
    picture = (await sandbox.admin.get(prediction.output[0])).content
    assert Image.open(io.BytesIO(picture)).format == "PNG"


async def test_a_blocking_create_gives_data_uris_and_says_processing(client: Any) -> None:
    prediction = await client.models.predictions.async_create(MODEL, input={"prompt": "a lake"}, wait=60)

    assert prediction.status == "processing"
    assert prediction.completed_at is None
    assert prediction.output[0].startswith("data:image/webp;base64,")


async def test_run_gives_file_outputs(client: Any) -> None:
    outputs = await client.async_run(MODEL, input={"prompt": "two lakes", "number_of_images": 2})

    pictures = [await output.aread() for output in outputs]
    assert len({*pictures}) == 2
    assert all(Image.open(io.BytesIO(picture)).format == "WEBP" for picture in pictures)


async def test_run_of_a_pinned_version_works(client: Any) -> None:
    outputs = await client.async_run(SDXL, input={"prompt": "a lake"})

    assert [Image.open(io.BytesIO(await output.aread())).format async for output in _each(outputs)] == ["PNG"]


async def test_a_failed_run_raises_the_models_error(client: Any) -> None:
    with pytest.raises(ModelError, match="code: PA"):
        await client.async_run(MODEL, input={"prompt": "a lake [[sandbox fault=interrupted]]"})


async def test_a_running_prediction_can_be_canceled_more_than_once(client: Any) -> None:
    prediction = await client.models.predictions.async_create(MODEL, input={"prompt": "a lake [[sandbox fault=stuck]]"})

    first = await client.predictions.async_cancel(prediction.id)
    second = await client.predictions.async_cancel(prediction.id)

    assert (first.status, second.status) == ("canceled", "canceled")
    assert first.completed_at == second.completed_at is not None


async def test_the_list_is_newest_first_and_pages_by_cursor(client: Any, sandbox: SandboxServer) -> None:
    await sandbox.reset()
    created = [
        (await client.models.predictions.async_create(MODEL, input={"prompt": f"lake {number}"})).id
        for number in range(105)
    ]

    first = await client.predictions.async_list()
    second = await client.predictions.async_list(first.next)

    assert [one.id for one in [*first.results, *second.results]] == created[::-1]
    assert (len(first.results), second.next) == (100, None)
    back = await client.predictions.async_list(second.previous)
    assert [one.id for one in back.results] == [one.id for one in first.results]


async def test_a_file_is_uploaded_used_as_a_reference_and_deleted(client: Any) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "orange").save(picture, "PNG")

    file = await client.files.async_create(
        picture, filename="face.png", content_type="image/png", metadata={"who": "me"}
    )
    prediction = await client.models.predictions.async_create(
        MODEL, input={"prompt": "a lake", "input_images": [file.urls["get"]]}
    )
    await prediction.async_wait()

    assert prediction.status == "succeeded"
    assert (file.size, file.metadata, file.content_type) == (len(picture.getvalue()), {"who": "me"}, "image/png")
    assert [one.id for one in await client.files.async_list()] == [file.id]
    assert await client.files.async_delete(file.id)
    with pytest.raises(ReplicateError) as gone:
        await client.files.async_get(file.id)
    assert gone.value.status == 404


async def test_models_account_and_webhook_secret_are_told(client: Any) -> None:
    model = await client.models.async_get("openai/gpt-image-2.5-flare")
    schema = model.latest_version.openapi_schema["components"]["schemas"]["Input"]

    assert "max" in schema["properties"]["quality"]["enum"]
    assert (await client.accounts.async_current()).username == "diorama-sandbox"
    assert (await client.webhooks.default.async_secret()).key.startswith("whsec_")


async def test_a_wrong_token_is_refused(sandbox: SandboxServer) -> None:
    stranger = Client(api_token="r8_wrong", base_url=sandbox.replicate_url)

    with pytest.raises(ReplicateError) as refused:
        await stranger.models.predictions.async_create(MODEL, input={"prompt": "a lake"})

    assert (refused.value.status, refused.value.title) == (401, "Unauthenticated")
    await stranger._async_client.aclose()


async def test_a_bad_input_names_the_field(client: Any) -> None:
    with pytest.raises(ReplicateError) as refused:
        await client.models.predictions.async_create(MODEL, input={"quality": "best", "number_of_images": 11})

    assert refused.value.status == 422
    assert refused.value.detail == (
        "- input: prompt is required\n"
        '- input.quality: quality must be one of the following: "auto", "low", "medium", "high"\n'
        "- input.number_of_images: Must be less than or equal to 10\n"
    )


async def test_an_unknown_version_is_refused_as_not_permitted(client: Any) -> None:
    with pytest.raises(ReplicateError) as refused:
        await client.predictions.async_create(version="0" * 64, input={"prompt": "a lake"})

    assert (refused.value.status, refused.value.title) == (422, "Invalid version or not permitted")


async def _each(outputs: Any) -> AsyncIterator[Any]:
    """The outputs of a run, which are a list or an asynchronous iterator."""
    if hasattr(outputs, "__aiter__"):
        async for output in outputs:
            yield output
    else:
        for output in outputs:
            yield output
