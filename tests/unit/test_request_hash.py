"""What a request means is hashed alike in every release: a client's Idempotency-Key outlives an upgrade."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from api.request_hash import request_hash
from contracts.requests import AnyRequest, GenerationRequest

REQUESTS: TypeAdapter[AnyRequest] = TypeAdapter(GenerationRequest)
FOX: dict[str, Any] = {"kind": "avatar", "avatar": {"description": "a fox"}}
IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a fox"}
EVERYTHING: dict[str, Any] = {
    "kind": "avatar",
    "avatar": {"description": "a fox", "style": "ink", "size": "native"},
    "quality": "high",
    "tags": ["a", "b"],
    "session_id": "walk",
    "provider": "replicate",
    "model": "m",
    "force_model": True,
    "deadline_s": 60,
}
BY_ID = {
    "kind": "scene",
    "scene": {"theme": "coral-reef"},
    "avatar_asset_id": "0199c0de-0000-7000-8000-000000000002",
}
BY_URL = {
    "kind": "scene",
    "scene": {"theme": "coral-reef", "details": "a crab", "size": "1280x720"},
    "image_url": "https://example.com/me.png",
}
CHAIN = {"kind": "avatar_scene", "avatar": {"description": "a fox"}, "scene": {"theme": "moon-base"}}


def hashed(body: dict[str, Any]) -> str:
    return request_hash(REQUESTS.validate_python(body))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (FOX, "a3559893c7e6cbc508d1a98b42a46f89ec96d32003429a93f0a3262673fdda7b"),
        (EVERYTHING, "56ebbe93ae375d95dba9bf47881b976addaeec4200258f9f2966a214ae22fa33"),
        (BY_ID, "e7bdc228c0a6c8c47cc51069ee41ed474a54d102b731a1581f500e45dc29b1dd"),
        (BY_URL, "cc542eca6d859a12220e8a57c27ef381564b5a79ed62aeae09ee87b743eb496c"),
        (CHAIN, "a286c8dab6e958d4763dd4a62304458f5418eddac19a8bccd78c34198adb97aa"),
    ],
)
def test_a_request_of_the_first_release_has_the_hash_that_it_had_there(body: dict[str, Any], expected: str) -> None:
    assert hashed(body) == expected


@pytest.mark.parametrize(
    "new", [{"strategy": "cheapest"}, {"providers": ["replicate"]}, {"max_cost_usd": "0.5"}, {"deadline_s": 61}]
)
def test_an_option_that_is_given_makes_another_request(new: dict[str, Any]) -> None:
    assert hashed(FOX | new) != hashed(FOX)


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a wolf"},
        {"count": 2},
        {"size": "1024x1024"},
        {"image_asset_ids": ["0199c0de-0000-7000-8000-000000000002"]},
        {"traits": {"seed": 7}},
        {"traits": {"output_format": "webp"}},
    ],
)
def test_whatever_changes_the_pictures_changes_the_hash(other: dict[str, Any]) -> None:
    assert hashed(IMAGE | other) != hashed(IMAGE)


@pytest.mark.parametrize("spelled_out", [{"count": 1}, {"size": "native"}, {"traits": {}}, {"traits": {"seed": None}}])
def test_a_default_that_is_spelled_out_changes_nothing(spelled_out: dict[str, Any]) -> None:
    assert hashed(IMAGE | spelled_out) == hashed(IMAGE)
