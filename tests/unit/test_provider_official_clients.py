"""What is sent is what the vendors' own clients send, for every row of the catalog."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest
from jsonschema import Draft202012Validator
from openai.types.image_edit_params import ImageEditParamsNonStreaming as ImageEditParams
from openai.types.image_generate_params import ImageGenerateParamsNonStreaming as ImageGenerateParams
from pydantic import TypeAdapter

from contracts.requests import Quality
from contracts.wishes import Capability, PictureTraits
from providers.base import Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.getimg_request import is_version_2, operation_path, request_body
from providers.model_entry import ModelEntry
from providers.openai_request import form_text, picture_fields
from providers.price_rules import QUALITIES

SPECS = Path(__file__).parents[1] / "specs"
CATALOG = Catalog.load()


async def read() -> bytes:
    return b"\x89PNG\r\n\x1a\n"


async def no_url() -> str | None:
    return None


REFERENCE = ReferenceImage("image/png", 8, read, no_url)


def described(vendor: str, schema: str) -> Draft202012Validator:
    """The request as the vendor describes it."""
    components = json.loads((SPECS / f"{vendor}.json").read_text("utf-8"))["components"]
    return Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": components})


def purchases(entry: ModelEntry, capability: Capability) -> Iterator[Purchase]:
    """One of each size, quality, format and background that the row knows."""
    backgrounds = (False, True) if entry.traits.transparent else (False,)
    qualities: tuple[Quality, ...] = QUALITIES if entry.has_quality_levels else ("medium",)
    for recipe in entry.recipes:
        for quality in qualities:
            for output_format in entry.traits.formats:
                for transparent in backgrounds:
                    yield Purchase(
                        token="token-1",
                        model=entry.model,
                        prompt="a fox",
                        quality=quality,
                        size=recipe.gives,
                        shape=recipe.shape,
                        references=() if capability == "text_to_image" else (REFERENCE,),
                        deadline_s=60,
                        capability=capability,
                        traits=PictureTraits(output_format=output_format, transparent=transparent),
                    )


def rows(vendor: str) -> list[tuple[ModelEntry, Capability]]:
    return [(entry, can) for entry in CATALOG.models if entry.provider == vendor for can in entry.capabilities]


def named(entry: ModelEntry | str) -> str:
    return entry if isinstance(entry, str) else entry.model


@pytest.mark.parametrize(("entry", "capability"), rows("openai"), ids=named)
def test_what_openai_is_sent_its_own_client_would_send_too(entry: ModelEntry, capability: Capability) -> None:
    is_edit = capability != "text_to_image"
    known = set(get_type_hints(ImageEditParams if is_edit else ImageGenerateParams))
    values = TypeAdapter(ImageGenerateParams)
    sent = [picture_fields(purchase, entry) for purchase in purchases(entry, capability)]

    assert sent
    for fields in sent:
        assert fields.keys() - known == set()
        values.validate_python(fields, strict=True)
        assert all(isinstance(form_text(value), str) for value in fields.values())


NEWER = [(entry, can) for entry, can in rows("getimg") if is_version_2(operation_path(entry, can))]


@pytest.mark.parametrize(("entry", "capability"), NEWER, ids=named)
def test_what_getimg_is_sent_is_what_its_own_client_sends(entry: ModelEntry, capability: Capability) -> None:
    request = described("getimg", "ImageGenerateParams")
    path = operation_path(entry, capability)
    sent = [asyncio.run(request_body(purchase, entry, path)) for purchase in purchases(entry, capability)]

    assert sent
    for body in sent:
        request.validate(body)
