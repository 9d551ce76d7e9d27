"""From a request to the words, the size and the format of each of its pictures."""

from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from activities.ordering import parse_request, picture_spec
from activities.wanted_form import enlarged
from contracts.given_pictures import given_pictures
from contracts.pictures import AssetRef
from contracts.statuses import Step
from prompts.library import PromptLibrary

ONE, OTHER = UUID(int=1), UUID(int=2)
LIBRARY = PromptLibrary.load()
IMAGE: dict[str, Any] = {"kind": "image", "prompt": "  a lighthouse made of glass ", "count": 3, "size": "1536x1024"}
ENHANCE: dict[str, Any] = {"kind": "enhance", "image_asset_id": str(ONE), "scale": 4}
CHAIN: dict[str, Any] = {
    "kind": "avatar_scene",
    "avatar": {"description": "a fox"},
    "scene": {"theme": "moon-base"},
}


def test_the_prompt_of_an_image_is_the_clients_own_word_for_word() -> None:
    spec = picture_spec(parse_request(IMAGE), Step.variant_2, LIBRARY)

    words = "a lighthouse made of glass"
    assert (spec.prompt.text, spec.prompt.name, spec.prompt.version) == (words, "client", "1")
    assert spec.prompt.sha256 == sha256(words.encode()).hexdigest()
    assert spec.planned.size == (1536, 1024)


def test_every_variant_is_asked_for_with_the_same_words() -> None:
    request = parse_request(IMAGE)

    prompts = {picture_spec(request, step, LIBRARY).prompt for step in (Step.variant_1, Step.variant_2, Step.variant_3)}

    assert len(prompts) == 1


def test_an_enhancement_has_no_words() -> None:
    spec = picture_spec(parse_request(ENHANCE), Step.enhanced, LIBRARY)

    assert (spec.prompt.text, spec.prompt.name) == ("", "none")
    assert (spec.planned.capability, spec.planned.traits.scale, spec.planned.size) == ("upscale", 4, None)


@pytest.mark.parametrize("wanted", ["png", "jpeg", "webp"])
def test_an_image_is_kept_in_the_format_that_was_asked_for(wanted: str) -> None:
    request = parse_request(IMAGE | {"traits": {"output_format": wanted}})

    assert picture_spec(request, Step.variant_1, LIBRARY).output_format == wanted


@pytest.mark.parametrize(("body", "step"), [(CHAIN, Step.avatar), (CHAIN, Step.scene), (ENHANCE, Step.enhanced)])
def test_all_other_pictures_are_kept_as_they_are_delivered(body: dict[str, Any], step: Step) -> None:
    assert picture_spec(parse_request(body), step, LIBRARY).output_format is None


@pytest.mark.parametrize(("body", "step"), [(IMAGE, Step.variant_4), (ENHANCE, Step.avatar), (CHAIN, Step.variant_1)])
def test_a_step_that_the_request_does_not_have_is_refused(body: dict[str, Any], step: Step) -> None:
    with pytest.raises(KeyError):
        picture_spec(parse_request(body), step, LIBRARY)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (CHAIN, []),
        (IMAGE, []),
        (IMAGE | {"image_asset_ids": [ONE, OTHER]}, [("image_asset_ids[0]", ONE), ("image_asset_ids[1]", OTHER)]),
        (ENHANCE, [("image_asset_id", ONE)]),
        ({"kind": "scene", "scene": {"theme": "x"}, "avatar_asset_id": OTHER}, [("avatar_asset_id", OTHER)]),
        ({"kind": "scene", "scene": {"theme": "x"}, "image_url": "https://example.com/a.png"}, []),
    ],
)
def test_the_pictures_that_a_request_starts_from_are_named_with_their_fields(
    body: dict[str, Any], expected: list[tuple[str, UUID]]
) -> None:
    assert [(one.field, one.asset_id) for one in given_pictures(parse_request(body))] == expected


def test_an_upscaled_picture_is_as_many_times_as_large() -> None:
    source = AssetRef(
        asset_id=ONE, key="k", sha256="0" * 64, size_bytes=1, content_type="image/png", width=300, height=200
    )

    assert enlarged(source, 4) == (1200, 800)
