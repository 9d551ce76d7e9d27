"""`diorama generate image | enhance`: what is typed becomes a body, files are uploaded, variants are shown."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import TypeAdapter

from commands.generation_event import GenerationEvent
from commands.generation_view import GenerationView
from commands.http_client import connected
from commands.own_pictures import with_uploads
from commands.request_body import request_body
from commands.screen import Screen
from contracts.requests import AnyRequest, EnhanceRequest, GenerationRequest, ImageRequest
from errors import ConfigurationError
from tests.integration.api.running_api import png
from tests.scripted_server import Script, answer, scripted

REQUESTS: TypeAdapter[AnyRequest] = TypeAdapter(GenerationRequest)
ONE = "0199c0de-0000-7000-8000-000000000001"
OTHER = "0199c0de-0000-7000-8000-000000000002"


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    async with scripted() as script:
        yield script


def test_an_image_becomes_a_body_that_the_contract_accepts() -> None:
    body = request_body(
        "image",
        words={"prompt": "a fox", "count": 4, "size": None, "image_use": None},
        traits={"seed": 7, "output_format": "webp", "transparent": None},
        pictures=[ONE, OTHER],
        options={"strategy": "cheapest", "providers": ["replicate"], "max_cost_usd": "0.5", "quality": None},
    )

    request = REQUESTS.validate_python(body)
    assert isinstance(request, ImageRequest)
    assert (request.count, request.traits.seed, request.traits.output_format) == (4, 7, "webp")
    assert [str(one) for one in request.image_asset_ids] == [ONE, OTHER]
    assert body.keys() == {
        "kind", "prompt", "count", "traits", "image_asset_ids", "strategy", "providers", "max_cost_usd"
    }  # fmt: skip


def test_an_image_without_wishes_leaves_all_to_the_server() -> None:
    body = request_body("image", words={"prompt": "a fox", "count": None}, traits={"seed": None}, options={})

    assert body == {"kind": "image", "prompt": "a fox"}


def test_an_enhancement_becomes_a_body_that_the_contract_accepts() -> None:
    body = request_body("enhance", enhancement={"operation": None, "scale": 4}, pictures=[ONE], options={})

    request = REQUESTS.validate_python(body)
    assert isinstance(request, EnhanceRequest)
    assert (str(request.image_asset_id), request.scale) == (ONE, 4)


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        ("image", {}),
        ("image", {"words": {"prompt": "a"}, "avatar": {"description": "a"}}),
        ("image", {"words": {"prompt": "a"}, "enhancement": {"scale": 2}}),
        ("enhance", {}),
        ("enhance", {"pictures": [ONE, OTHER]}),
        ("enhance", {"pictures": [ONE], "words": {"prompt": "a"}}),
        ("enhance", {"pictures": [ONE], "traits": {"seed": 1}}),
        ("avatar", {"avatar": {"description": "a"}, "pictures": [ONE]}),
        ("scene", {"scene": {"theme": "a"}, "source": {"image_url": "b"}, "words": {"prompt": "a"}}),
    ],
)
def test_parts_that_do_not_fit_the_kind_are_a_usage_error(what: str, parts: dict[str, Any]) -> None:
    with pytest.raises(typer.BadParameter):
        request_body(what, **parts, options={})


@pytest.mark.parametrize(
    ("name", "content_type"), [("me.png", "image/png"), ("me.JPG", "image/jpeg"), ("me", "application/octet-stream")]
)
async def test_a_file_is_uploaded_and_its_id_takes_its_place(
    script: Script, tmp_path: Path, name: str, content_type: str
) -> None:
    path = tmp_path / name
    path.write_bytes(png())
    script.answers = [answer(201, {"id": OTHER})]

    async with connected(script.connection) as client:
        body = await with_uploads(client, {"kind": "image", "image_asset_ids": [ONE, str(path)]})

    assert body == {"kind": "image", "image_asset_ids": [ONE, OTHER]}
    assert script.asked[0].startswith("POST /v1/assets ")
    assert script.asked_with("content-type") == [content_type]


async def test_the_one_picture_of_an_enhancement_may_be_a_file_too(script: Script, tmp_path: Path) -> None:
    path = tmp_path / "me.webp"
    path.write_bytes(png())
    script.answers = [answer(201, {"id": OTHER})]

    async with connected(script.connection) as client:
        body = await with_uploads(client, {"kind": "enhance", "image_asset_id": str(path)})

    assert json.dumps(body) == json.dumps({"kind": "enhance", "image_asset_id": OTHER})


async def test_what_is_neither_an_id_nor_a_file_is_told_before_anything_is_asked_for(
    script: Script, tmp_path: Path
) -> None:
    async with connected(script.connection) as client:
        with pytest.raises(ConfigurationError, match="is no asset id, and cannot be read"):
            await with_uploads(client, {"image_asset_ids": [str(tmp_path / "nothing.png")]})

    assert script.asked == []


def test_a_variant_is_shown_from_the_moment_it_is_heard_of(capsys: pytest.CaptureFixture[str]) -> None:
    with GenerationView(Screen(as_json=False), "image") as view:
        view.show(GenerationEvent(1, "picture.submitted", {"step": "variant-2", "provider": "replicate", "model": "m"}))
        view.show(GenerationEvent(2, "picture.stored", {"step": "variant-1", "cost_usd": "0.01"}))
        view.show(GenerationEvent(3, "picture.deleted", {"step": "input", "asset_id": "a"}))

    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "variant-2: 5% at replicate, m",
        "variant-1: 100% stored, 0.01 USD",
    ]
