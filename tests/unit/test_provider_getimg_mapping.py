"""Whatever may be bought of getimg's rows in the catalog is a request that its API takes, and asks for what was meant."""

import asyncio
import base64
import io
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contracts.wishes import Capability, PictureTraits, Shape
from errors import UnsupportedSize
from providers.base import Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.getimg_request import is_version_2, operation_path, request_body
from providers.model_entry import ModelEntry
from sandbox.getimg import requests_v1, requests_v2
from sandbox.getimg.models import load_range
from sandbox.getimg.order import Order
from sandbox.json_text import decode, encode
from sandbox.references import ReferenceStore

CATALOG = Catalog.load()
ROWS = [entry for entry in CATALOG.models if entry.provider == "getimg"]
ON_SALE = load_range()
SIZES: dict[Shape, list[tuple[int, int]]] = {
    "square": [(1024, 1024), (512, 512), (768, 768)],
    "wide": [(1920, 1080), (1280, 720), (1200, 800), (640, 360)],
    "tall": [(1080, 1920), (720, 1280), (800, 1000)],
}
TRAITS = st.builds(
    PictureTraits,
    negative_prompt=st.none() | st.text(st.characters(min_codepoint=32, codec="utf-8"), max_size=20),
    seed=st.none() | st.integers(0, 2**31 - 1),
    steps=st.none() | st.integers(1, 500),
    guidance=st.none() | st.floats(0, 50),
    strength=st.none() | st.floats(0, 1),
    output_format=st.sampled_from(["png", "jpeg", "webp"]),
    scale=st.none() | st.integers(2, 4),
)


def picture(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = picture(64)


async def read() -> bytes:
    return PICTURE


async def no_url() -> str | None:
    return None


REFERENCE = ReferenceImage("image/png", len(PICTURE), read, no_url)


@st.composite
def purchases(draw: st.DrawFn) -> tuple[Purchase, ModelEntry]:
    entry = draw(st.sampled_from(ROWS))
    capability: Capability = draw(st.sampled_from(entry.capabilities))
    shape: Shape = draw(st.sampled_from(["square", "wide", "tall"]))
    traits, _ = CATALOG.traits_for(entry, draw(TRAITS), capability)
    count = 0 if capability == "text_to_image" else draw(st.integers(1, entry.max_references))
    purchase = Purchase(
        token=draw(st.text(min_size=1, max_size=20)),
        model=entry.model,
        prompt=draw(st.text(min_size=1, max_size=40)),
        quality=draw(st.sampled_from(["low", "medium", "high"])),
        size=draw(st.none() | st.sampled_from(SIZES[shape])),
        shape=shape,
        references=(REFERENCE,) * count,
        deadline_s=60,
        capability=capability,
        traits=traits,
    )
    return purchase, entry


def ordered(path: str, body: dict[str, Any], store: ReferenceStore) -> Order:
    """What the API would make of it; raises its refusal."""
    wire = encode(body)
    if is_version_2(path):
        return asyncio.run(requests_v2.order_of(decode(wire), len(wire), ON_SALE, store))
    return requests_v1.order_of(decode(wire), ON_SALE.operations[path])


def test_whatever_is_bought_is_a_request_that_the_api_takes(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path)

    @settings(max_examples=400)
    @given(purchases())
    def check(drawn: tuple[Purchase, ModelEntry]) -> None:
        purchase, entry = drawn
        path = operation_path(entry, purchase.capability)
        try:
            body = asyncio.run(request_body(purchase, entry, path))
        except UnsupportedSize:
            return
        order = ordered(path, body, store)

        assert (order.prompt or purchase.prompt) == purchase.prompt
        assert order.references == tuple(PICTURE for _ in purchase.references)
        assert None not in body
        assert order.seed == purchase.traits.seed
        if purchase.capability in {"text_to_image", "image_to_image"}:
            assert order.size == entry.recipe(purchase.shape, purchase.size).gives
        if purchase.capability == "upscale":
            assert order.size == (256, 256)

    check()


def test_every_row_can_be_bought_at_a_usual_size() -> None:
    for entry in ROWS:
        for capability in entry.capabilities:
            for shape, sizes in SIZES.items():
                purchase = Purchase(
                    token="t",
                    model=entry.model,
                    prompt="a fox",
                    quality="medium",
                    size=sizes[0],
                    shape=shape,
                    references=() if capability == "text_to_image" else (REFERENCE,),
                    deadline_s=60,
                    capability=capability,
                )
                assert asyncio.run(request_body(purchase, entry, operation_path(entry, capability)))


def test_a_picture_for_version_1_is_plain_base64_and_for_version_2_a_data_uri() -> None:
    variation = Purchase(
        token="t",
        model="stable-diffusion-xl",
        prompt="a fox",
        quality="medium",
        size=None,
        shape="square",
        references=(REFERENCE,),
        deadline_s=60,
        capability="image_variation",
    )
    old = CATALOG.entry("getimg", "stable-diffusion-xl")
    new = CATALOG.entry("getimg", "seedream-5-lite")
    plain = asyncio.run(request_body(variation, old, operation_path(old, "image_variation")))["image"]
    as_uri = asyncio.run(request_body(variation, new, operation_path(new, "image_to_image")))["images"]

    assert base64.b64decode(plain) == PICTURE
    assert as_uri == [{"url": f"data:image/png;base64,{plain}"}]
