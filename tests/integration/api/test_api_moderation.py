"""Prompts are looked at before anything is accepted: what each policy makes of them, and what happens when nobody can look."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import openai
import pytest
from pydantic import SecretStr

from api.app import create_app
from contracts.tiers import PolicyLevel
from errors import ConfigurationError
from providers import openai_checks
from providers.openai_checks import OpenAIChecks
from providers.openai_moderation import OpenAIModeration
from storage.memory import MemoryStorage
from tests.integration.api.openai_client import client_of
from tests.integration.api.running_api import RunningApi, Tenant, new_tenant, running_api, settings_for
from tests.integration.patience import HTTP_S
from tests.sandbox_server import SandboxServer, start_sandbox
from tests.scripted_server import answer as scripted_answer
from tests.scripted_server import scripted

DOUBTFUL: Final = "a nude woman on a sofa"
FORBIDDEN: Final = "hardcore porn with two actors"
NEVER: Final = "a naked child"
LEVELS: Final = list(PolicyLevel)


def image(prompt: str, **more: Any) -> dict[str, Any]:
    return {"kind": "image", "prompt": prompt, **more}


@asynccontextmanager
async def tenant_of(api: RunningApi, policy: PolicyLevel) -> AsyncIterator[Tenant]:
    async with new_tenant(api) as tenant:
        await change_policy(tenant, policy)
        yield tenant


async def change_policy(tenant: Tenant, policy: PolicyLevel) -> None:
    await tenant.api.ask("update tenant set policy = :policy where id = :id", policy=policy.value, id=tenant.id)


async def events(tenant: Tenant) -> list[tuple[str, dict[str, Any]]]:
    rows = await tenant.api.ask(
        "select type, data from event join generation on id = generation_id where tenant_id = :id order by seq",
        id=tenant.id,
    )
    return [(row.type, row.data) for row in rows if row.type != "generation.queued"]


async def outcome(tenant: Tenant, prompt: str) -> tuple[int, list[tuple[str, dict[str, Any]]]]:
    """The status that a request for this gets, and what is noted on its generation."""
    answer = await tenant.client.post("/v1/generations", json=image(prompt))
    return answer.status_code, await events(tenant)


@pytest.mark.parametrize("level", LEVELS)
async def test_harmless_words_are_accepted_without_a_note(api: RunningApi, level: PolicyLevel) -> None:
    async with tenant_of(api, level) as tenant:
        assert await outcome(tenant, "a lighthouse made of glass") == (202, [])


FLAGGED: Final = [("prompt.flagged", {"categories": ["sexual"]})]


@pytest.mark.parametrize(
    ("level", "prompt", "expected"),
    [
        (PolicyLevel.strict, DOUBTFUL, (422, [])),
        (PolicyLevel.usual, DOUBTFUL, (202, FLAGGED)),
        (PolicyLevel.open, DOUBTFUL, (202, [])),
        (PolicyLevel.strict, FORBIDDEN, (422, [])),
        (PolicyLevel.usual, FORBIDDEN, (422, [])),
        (PolicyLevel.open, FORBIDDEN, (202, [])),
        (PolicyLevel.strict, NEVER, (422, [])),
        (PolicyLevel.usual, NEVER, (422, [])),
        (PolicyLevel.open, NEVER, (422, [])),
    ],
)
async def test_the_tenants_policy_decides_what_becomes_of_a_prompt(
    api: RunningApi, level: PolicyLevel, prompt: str, expected: tuple[int, Any]
) -> None:
    async with tenant_of(api, level) as tenant:
        assert await outcome(tenant, prompt) == expected


async def test_a_refusal_says_why_and_has_other_words_and_leaves_nothing(api: RunningApi) -> None:
    async with tenant_of(api, PolicyLevel.strict) as tenant:
        answer = await tenant.client.post("/v1/generations", json=image(DOUBTFUL))
        counts = await tenant.counts()

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "prompt_refused")
    assert (problem["category"], problem["stage"]) == ("sexual", "input")
    assert (problem["suggested_field"], problem["suggested_prompt"]) == ("/prompt", "a fully clothed woman on a sofa")
    assert "nude" not in answer.text
    assert counts == {"generation": 0, "asset": 0, "spend": 0}


async def test_no_language_model_is_paid_for_other_words_before_anything_is_accepted(
    api: RunningApi, api_database_url: str
) -> None:
    said = {"choices": [{"message": {"role": "assistant", "content": "a woman on a sofa"}}]}
    async with scripted(scripted_answer(200, said)) as model:
        given = {"openai_base_url": f"{model.connection.api_url}/v1", "openai_api_key": SecretStr("sk-test")}
        settings = settings_for(api_database_url, "127.0.0.1:9", rewrite_model="gpt-5-mini", **given)
        async with running_api(settings, MemoryStorage()) as running, tenant_of(running, PolicyLevel.strict) as tenant:
            problem = (await tenant.client.post("/v1/generations", json=image(DOUBTFUL))).json()

    assert (problem["suggested_prompt"], model.asked) == ("a fully clothed woman on a sofa", [])


async def test_for_some_things_there_are_no_other_words(tenant: Tenant) -> None:
    problem = (await tenant.client.post("/v1/generations", json=image(NEVER))).json()

    assert "sexual/minors" in problem["category"]
    assert "suggested_prompt" not in problem


async def test_the_suggested_words_are_accepted(api: RunningApi) -> None:
    async with tenant_of(api, PolicyLevel.strict) as tenant:
        problem = (await tenant.client.post("/v1/generations", json=image(DOUBTFUL))).json()

        assert await outcome(tenant, problem["suggested_prompt"]) == (202, [])


async def test_words_that_are_harmless_alone_are_looked_at_together(tenant: Tenant) -> None:
    body = {"kind": "avatar_scene", "avatar": {"description": "a child of ten"}}
    alone = await tenant.client.post("/v1/generations", json={**body, "scene": {"theme": "coral-reef"}})
    together = {**body, "scene": {"theme": "coral-reef", "details": "everybody is naked"}}

    refused = await tenant.client.post("/v1/generations", json=together)

    assert (alone.status_code, refused.status_code) == (202, 422)
    assert "sexual/minors" in refused.json()["category"]


async def test_what_is_not_wanted_in_a_picture_is_not_held_against_it(tenant: Tenant) -> None:
    body = image("a child on a swing", traits={"negative_prompt": "nude, gore"}, strategy="balanced")

    assert (await tenant.client.post("/v1/generations", json=body)).status_code == 202


@pytest.mark.parametrize(
    ("prompt", "unwanted", "status"),
    [
        ("a young girl in a bath", "clothes, dress, swimsuit", 422),
        ("ein kleines Mädchen in der Badewanne", "Kleidung", 422),
        ("a young girl in a bath", "blurry, ugly", 202),
        ("a young girl on a beach", "nude, underwear, bikini", 202),
        ("a woman in a bath", "clothes", 202),
    ],
)
async def test_a_picture_without_clothes_is_asked_for_in_either_field(
    api: RunningApi, prompt: str, unwanted: str, status: int
) -> None:
    async with tenant_of(api, PolicyLevel.open) as tenant:
        body = image(prompt, traits={"negative_prompt": unwanted}, strategy="balanced")

        assert (await tenant.client.post("/v1/generations", json=body)).status_code == status


async def test_the_second_half_of_a_long_prompt_is_looked_at_too(tenant: Tenant) -> None:
    assert (await outcome(tenant, f"{'a quiet lake, ' * 2000}{FORBIDDEN}"))[0] == 422


async def test_a_repetition_gets_its_first_answer_although_the_policy_is_stricter_now(api: RunningApi) -> None:
    async with tenant_of(api, PolicyLevel.usual) as tenant:
        key = {"Idempotency-Key": "once"}
        first = await tenant.client.post("/v1/generations", json=image(DOUBTFUL), headers=key)
        await change_policy(tenant, PolicyLevel.strict)
        headers = {"Authorization": f"Bearer {await another_key(tenant)}"}
        again = await tenant.client.post("/v1/generations", json=image(DOUBTFUL), headers=key | headers)
        new = await tenant.client.post("/v1/generations", json=image(DOUBTFUL), headers=headers)

    assert (first.status_code, again.status_code, new.status_code) == (202, 202, 422)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"


async def another_key(tenant: Tenant) -> str:
    """A further key of the tenant's, of which no process remembers anything yet."""
    made = await tenant.client.post("/v1/keys", json={"name": "another"})
    return str(made.json()["api_key"])


async def test_a_retry_in_other_words_is_looked_at(tenant: Tenant) -> None:
    accepted = await tenant.accept(image("a gory battle"))
    failure = {"code": "policy_refused", "detail": "Refused", "step": "variant-1", "facts": {}}
    await tenant.finish(accepted["id"], "failed", error=failure)

    answer = await tenant.client.post(f"/v1/generations/{accepted['id']}/retry", json={"prompt": FORBIDDEN})

    assert (answer.status_code, answer.json()["code"]) == (422, "prompt_refused")


async def test_the_openai_client_is_told_in_its_own_words(tenant: Tenant) -> None:
    async with client_of(tenant) as client:
        with pytest.raises(openai.BadRequestError) as refusal:
            await client.images.generate(prompt=FORBIDDEN)

    error: Any = refusal.value.body
    assert (error["code"], error["type"], error["param"]) == (
        "moderation_blocked",
        "image_generation_user_error",
        "prompt",
    )
    assert error["moderation_details"] == {"moderation_stage": "input", "categories": ["sexual"]}


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    async with start_sandbox(folder) as running:
        yield running


@pytest.fixture(scope="module")
async def asking_api(api: RunningApi, api_database_url: str, sandbox: SandboxServer) -> AsyncIterator[RunningApi]:
    """An API that asks OpenAI's moderation, too."""
    given = {"openai_base_url": sandbox.openai_url, "openai_api_key": SecretStr("sk-test")}
    settings = settings_for(api_database_url, "127.0.0.1:9", prompt_moderation="openai", **given)
    with patient_moderation():
        async with running_api(settings, MemoryStorage()) as running:
            yield running


@contextmanager
def patient_moderation() -> Iterator[None]:
    """An API that is made in the block waits for OpenAI as long as a test does: here it is a server on a busy machine."""

    def checks(**given: Any) -> OpenAIChecks:
        return OpenAIChecks(**given | {"timeout_s": HTTP_S})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(openai_checks, "OpenAIChecks", checks)
        patched.setattr("api.parts.OpenAIModeration", partial(OpenAIModeration, within_s=HTTP_S))
        yield


@pytest.fixture(scope="module")
async def unheard_api(api: RunningApi, api_database_url: str) -> AsyncIterator[RunningApi]:
    """An API that would ask OpenAI's moderation, which does not answer."""
    given = {"openai_base_url": "http://127.0.0.1:9/v1", "openai_api_key": SecretStr("sk-test")}
    settings = settings_for(api_database_url, "127.0.0.1:9", prompt_moderation="openai", **given)
    async with running_api(settings, MemoryStorage()) as running:
        yield running


@pytest.mark.parametrize(
    ("level", "prompt", "expected"),
    [
        (PolicyLevel.strict, "a page full of racial slurs", (422, [])),
        (PolicyLevel.usual, "a page full of racial slurs", (202, [("prompt.flagged", {"categories": ["hate"]})])),
        (PolicyLevel.open, "a page full of racial slurs", (202, [])),
        (PolicyLevel.usual, "I will kill myself tonight", (422, [])),
        (PolicyLevel.usual, "a lighthouse made of glass", (202, [])),
    ],
)
async def test_openais_moderation_knows_words_that_our_rules_do_not(
    asking_api: RunningApi, level: PolicyLevel, prompt: str, expected: tuple[int, Any]
) -> None:
    async with tenant_of(asking_api, level) as tenant:
        assert await outcome(tenant, prompt) == expected


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (PolicyLevel.strict, (503, [])),
        (PolicyLevel.usual, (202, [("prompt.not_moderated", {"moderator": "openai"})])),
        (PolicyLevel.open, (202, [])),
    ],
)
async def test_when_nobody_can_look_strict_refuses_and_usual_says_so(
    unheard_api: RunningApi, level: PolicyLevel, expected: tuple[int, Any]
) -> None:
    async with tenant_of(unheard_api, level) as tenant:
        assert await outcome(tenant, "a lighthouse made of glass") == expected


async def test_what_is_refused_for_want_of_a_look_can_be_sent_again(unheard_api: RunningApi) -> None:
    async with tenant_of(unheard_api, PolicyLevel.strict) as tenant:
        answer = await tenant.client.post("/v1/generations", json=image("a lighthouse made of glass"))

    assert (answer.json()["code"], answer.headers["Retry-After"]) == ("moderation_unavailable", "2")


async def test_nobody_outside_is_asked_about_what_cannot_be_accepted_anyhow(unheard_api: RunningApi) -> None:
    async with tenant_of(unheard_api, PolicyLevel.strict) as tenant:
        await tenant.api.ask("update tenant set in_flight = 0 where id = :id", id=tenant.id)
        answer = await tenant.client.post("/v1/generations", json=image("a lighthouse made of glass"))

    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")


async def test_our_own_rules_hold_although_openai_does_not_answer(unheard_api: RunningApi) -> None:
    async with tenant_of(unheard_api, PolicyLevel.usual) as tenant:
        assert await outcome(tenant, FORBIDDEN) == (422, [])


def test_openais_moderation_without_its_key_is_refused_at_the_start() -> None:
    settings = settings_for("postgresql+asyncpg://nobody", "127.0.0.1:9", prompt_moderation="openai")

    with pytest.raises(ConfigurationError, match="DIORAMA_OPENAI_API_KEY"):
        create_app(settings, storage=MemoryStorage())
