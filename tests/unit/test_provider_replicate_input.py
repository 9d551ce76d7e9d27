"""What each of Replicate's models is sent: by the catalog's table, and never anything that its own schema forbids."""

import asyncio
from dataclasses import replace
from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.wishes import Capability, PictureTraits
from errors import UnsupportedParameter, UnsupportedSize
from providers.adjusting import fit_traits
from providers.base import Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.model_entry import ModelEntry
from providers.replicate_input import model_input
from providers.replicate_marks import seed_of, where_token_rides
from sandbox.models import load_models

CATALOG = Catalog.load()
ENTRIES = [entry for entry in CATALOG.models if entry.provider == "replicate"]
SCHEMAS = {name: model.schema for name, model in load_models().replicate.items()}
SIZES = [(1024, 1024), (1920, 1080), (1280, 720), (1080, 1920), (1024, 768), (900, 900)]
UPLOADED = "https://api.replicate.com/v1/files/f1"
each_model = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.model)


def entry_of(model: str) -> ModelEntry:
    return CATALOG.entry("replicate", model)


def picture(size_bytes: int = 10, url: str | None = None) -> ReferenceImage:
    async def read() -> bytes:
        return b"x" * size_bytes

    async def link() -> str | None:
        return url

    return ReferenceImage("image/png", size_bytes, read, link)


def purchase(model: str, capability: Capability = "text_to_image", **changes: Any) -> Purchase:
    works_alone = capability == "text_to_image"
    plain = Purchase(
        token="token-1",
        model=model,
        prompt="a fox",
        quality="medium",
        size=None,
        shape="square",
        references=() if works_alone else (picture(),),
        deadline_s=60,
        capability=capability,
    )
    return replace(plain, **changes)


async def sent(order: Purchase) -> dict[str, Any]:
    async def upload(_body: bytes, _content_type: str) -> str:
        return UPLOADED

    return await model_input(order, entry_of(order.model), upload)


async def test_sdxl_gets_pixels_and_numbers_by_its_own_names() -> None:
    traits = PictureTraits(negative_prompt="blurry", seed=7, steps=30, guidance=7.5)

    body = await sent(purchase("stability-ai/sdxl", size=(1920, 1080), shape="wide", traits=traits))

    assert body == {
        "prompt": "a fox",
        "negative_prompt": "blurry",
        "width": 1344,
        "height": 768,
        "seed": 7,
        "num_inference_steps": 30,
        "guidance_scale": 7.5,
        "num_outputs": 1,
    }


async def test_flux_schnell_gets_an_aspect_ratio_and_our_token_as_its_seed() -> None:
    body = await sent(purchase("black-forest-labs/flux-schnell", size=(1280, 720), shape="wide"))

    assert body == {
        "prompt": "a fox",
        "aspect_ratio": "16:9",
        "seed": seed_of("token-1"),
        "num_outputs": 1,
        "output_format": "png",
        "megapixels": "1",
    }


async def test_flux_pro_gets_the_pixels_that_are_wanted_and_one_picture_to_look_at() -> None:
    example = (picture(url="https://store.example/a.png"),)
    order = purchase("black-forest-labs/flux-1.1-pro", "image_to_image", size=(1024, 768), shape="wide")

    body = await sent(replace(order, references=example))

    assert (body["aspect_ratio"], body["width"], body["height"]) == ("custom", 1024, 768)
    assert body["image_prompt"] == "https://store.example/a.png"


async def test_flux_dev_changes_a_picture_by_a_strength() -> None:
    order = purchase("black-forest-labs/flux-dev", "image_variation", traits=PictureTraits(strength=0.4))

    body = await sent(order)

    assert body["image"].startswith("data:image/png;base64,")
    assert body["prompt_strength"] == 0.4


async def test_a_sketch_model_gets_its_numbers_as_words() -> None:
    body = await sent(purchase("jagilley/controlnet-scribble", "sketch_to_image", size=(1920, 1080), shape="wide"))

    assert (body["num_samples"], body["image_resolution"]) == ("1", "768")
    assert body["image"].startswith("data:image/png;base64,")


async def test_an_upscaler_gets_a_picture_and_a_factor_and_no_words() -> None:
    body = await sent(purchase("nightmareai/real-esrgan", "upscale", traits=PictureTraits(scale=4)))

    assert body == {"image": UPLOADED, "scale": 4, "face_enhance": False}


@pytest.mark.parametrize(("model", "field"), [("tencentarc/gfpgan", "img"), ("sczhou/codeformer", "image")])
async def test_a_face_restorer_gets_the_picture_under_its_own_name(model: str, field: str) -> None:
    body = await sent(purchase(model, "face_restore"))

    assert body[field] == UPLOADED
    assert "prompt" not in body


async def test_a_gpt_model_still_gets_its_quality_and_a_list_of_pictures() -> None:
    examples = (picture(url="https://x/a.png"), picture(url="https://x/b.png"))

    body = await sent(purchase("openai/gpt-image-2", "image_to_image", references=examples))

    assert body["input_images"] == ["https://x/a.png", "https://x/b.png"]
    assert (body["quality"], body["user_id"]) == ("medium", "token-1")


@pytest.mark.parametrize(
    ("model", "changes", "ride"),
    [
        ("openai/gpt-image-2", {}, "field"),
        ("stability-ai/sdxl", {}, "seed"),
        ("stability-ai/sdxl", {"traits": PictureTraits(seed=7)}, "note"),
        ("stability-ai/sdxl", {"traits": PictureTraits(seed=7), "references": (picture(),)}, "upload"),
        ("tencentarc/gfpgan", {"references": (picture(),)}, "upload"),
    ],
)
async def test_our_token_rides_where_a_lost_purchase_can_be_found_again(
    model: str, changes: dict[str, Any], ride: Literal["field", "seed", "upload", "note"]
) -> None:
    assert where_token_rides(purchase(model, **changes), entry_of(model)) == ride


async def test_a_picture_that_must_carry_our_token_is_uploaded_although_it_has_an_address() -> None:
    order = purchase("tencentarc/gfpgan", "face_restore", references=(picture(url="https://store.example/a.png"),))

    assert (await sent(order))["img"] == UPLOADED


@pytest.mark.parametrize(
    ("order", "parameter"),
    [
        (purchase("openai/gpt-image-2", traits=PictureTraits(seed=7)), "seed"),
        (purchase("black-forest-labs/flux-schnell", traits=PictureTraits(negative_prompt="fog")), "negative_prompt"),
        (purchase("stability-ai/sdxl", traits=PictureTraits(transparent=True)), "transparent"),
        (purchase("black-forest-labs/flux-schnell", "image_to_image"), "references"),
        (purchase("black-forest-labs/flux-dev", "image_variation", references=(picture(), picture())), "references"),
    ],
)
async def test_what_a_model_has_no_field_for_is_refused_and_not_dropped(order: Purchase, parameter: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        await sent(order)

    assert caught.value.facts["parameter"] == parameter


@each_model
def test_every_model_of_the_catalog_is_one_of_the_recorded_schemas(entry: ModelEntry) -> None:
    names = [name for name in entry.input.model_dump(exclude={"fixed", "one_image"}).values() if name]

    assert {*names, *entry.input.fixed} <= set(SCHEMAS[entry.model]["properties"])
    assert load_models().replicate[entry.model].version == entry.version


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """No field besides those; and where a field lists words and a pattern (GPT 2.5's size), either will do."""
    fields = {
        name: {"anyOf": [{"enum": field["enum"]}, {"pattern": field["pattern"]}]}
        if {"enum", "pattern"} <= {*field}
        else field
        for name, field in schema["properties"].items()
    }
    return {**schema, "properties": fields, "additionalProperties": False}


WISHES = st.builds(
    PictureTraits,
    negative_prompt=st.none() | st.text(st.characters(min_codepoint=32, codec="utf-8"), max_size=20),
    seed=st.none() | st.integers(0, 2**31 - 1),
    steps=st.none() | st.integers(1, 500),
    guidance=st.none() | st.floats(0, 50),
    strength=st.none() | st.floats(0, 1),
    transparent=st.booleans(),
    output_format=st.sampled_from(["png", "jpeg", "webp"]),
    scale=st.none() | st.integers(2, 4),
)


@each_model
@given(data=st.data(), traits=WISHES, token=st.text(min_size=1, max_size=40))
def test_whatever_is_wished_for_the_models_own_schema_takes_what_it_is_sent(
    entry: ModelEntry, data: st.DataObject, traits: PictureTraits, token: str
) -> None:
    capability = data.draw(st.sampled_from(entry.capabilities))
    size = data.draw(st.none() | st.sampled_from(SIZES)) if entry.is_sized else None
    shape: Literal["square", "wide", "tall"] = "square"
    if size is not None and size[0] != size[1]:
        shape = "wide" if size[0] > size[1] else "tall"
    kept, _ = fit_traits(entry, traits, capability)
    order = purchase(entry.model, capability, token=token, size=size, shape=shape, traits=kept)
    order = replace(order, quality=data.draw(st.sampled_from(entry.qualities)))

    try:
        body = asyncio.run(sent(order))
    except UnsupportedSize:
        return

    jsonschema.validate(body, strict(SCHEMAS[entry.model]))
    if where_token_rides(order, entry) == "seed":
        assert entry.input.seed is not None
        assert body[entry.input.seed] == seed_of(token)


@given(tokens=st.lists(st.text(), unique=True, max_size=50))
def test_seeds_tell_tokens_apart_and_are_small_enough_for_every_model(tokens: list[str]) -> None:
    seeds = {seed_of(token) for token in tokens}

    assert len(seeds) == len(tokens)
    assert all(0 <= seed < 2**31 for seed in seeds)
