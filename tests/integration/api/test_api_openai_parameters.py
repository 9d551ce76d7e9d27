"""Parameters at OpenAI's routes that are met, and how those that cannot be are named to the client."""

from typing import Any

import openai
import pytest

from tests.integration.api.openai_client import client_of, newest, succeed, worked_on
from tests.integration.api.running_api import Tenant, png

WORDS = "a lighthouse made of glass"
OURS: Any = {"diorama": {"strategy": "pinned"}}


async def test_openais_own_default_of_a_parameter_that_we_lack_is_met(tenant: Tenant) -> None:
    async def work() -> None:
        await succeed(tenant, await newest(tenant))
        await succeed(tenant, await newest(tenant, 2))

    webp: Any = {"prompt": WORDS, "output_format": "webp", "output_compression": 100}
    async with client_of(tenant) as client, worked_on(work):
        made = await client.images.generate(**webp)
        changed = await client.images.edit(image=png(), **webp)

    formats = [row["request"]["traits"]["output_format"] for row in await tenant.generations()]
    assert (bool(made.data), bool(changed.data), formats) == (True, True, ["webp", "webp"])


async def test_a_model_that_has_ended_may_be_insisted_on(tenant: Tenant) -> None:
    async def work() -> None:
        await succeed(tenant, await newest(tenant))

    async with client_of(tenant) as client:
        with pytest.raises(openai.NotFoundError, match="force_model"):
            await client.images.generate(prompt=WORDS, model="openai/gpt-image-1")
        async with worked_on(work):
            insisted = {"diorama": {"force_model": True}}
            made = await client.images.generate(prompt=WORDS, model="openai/gpt-image-1", extra_body=insisted)

    assert made.data


@pytest.mark.parametrize(
    ("wrong", "param", "said"),
    [
        ({"prompt": "a\u0000fox"}, "prompt", "control characters"),
        ({"extra_body": OURS}, None, "Invalid request: strategy pinned needs provider and model"),
        ({"output_compression": 80}, "output_compression", "100"),
        (
            {"model": "openai/gpt-image-2", "extra_body": {"diorama": {"seed": 7}}},
            "diorama.seed",
            "does not know it",
        ),
        (
            {"model": "openai/gpt-image-2", "background": "transparent"},
            "background",
            "does not know it",
        ),
        ({"extra_body": {"diorama": {"max_cost_usd": "0.0001"}}}, "diorama.max_cost_usd", "at most 0.0001"),
    ],
)
@pytest.mark.parametrize("edited", [False, True], ids=["generated", "edited"])
async def test_what_cannot_be_met_is_named_as_the_client_named_it(
    tenant: Tenant, wrong: dict[str, Any], param: str | None, said: str, edited: bool
) -> None:
    given: Any = {"prompt": WORDS} | wrong
    async with client_of(tenant) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await (client.images.edit(image=png(), **given) if edited else client.images.generate(**given))

    assert refused.value.param == param
    assert said in refused.value.message
    assert await tenant.generations() == []
