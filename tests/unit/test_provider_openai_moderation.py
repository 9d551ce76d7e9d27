"""OpenAI's moderation of prompts: what its categories lead to, and what its silence does."""

from typing import Any

import pytest
from pydantic import SecretStr

from contracts.moderation import Action, Verdict
from errors import ProviderError, ProviderUnreachable
from providers.openai_checks import OpenAIChecks
from providers.openai_moderation import OpenAIModeration
from tests.provider_server import Answer, HangUp, Reply, Silence, json_reply, provider_server


def judged(*categories: str, flagged: bool = True) -> Reply:
    known = [
        "sexual",
        "sexual/minors",
        "violence",
        "violence/graphic",
        "hate",
        "hate/threatening",
        "self-harm",
        "illicit",
    ]
    known += ["harassment", "harassment/threatening", "illicit/violent", "self-harm/intent", "self-harm/instructions"]
    named: dict[str, Any] = {name: name in categories for name in known}
    result = {"flagged": flagged, "categories": named, "category_scores": {}, "category_applied_input_types": {}}
    return json_reply({"id": "modr-1", "model": "omni-moderation-2024-09-26", "results": [result]})


async def asked(answer: Answer, within_s: float = 5.0) -> Verdict:
    async with provider_server(lambda _: answer) as server:
        checks = OpenAIChecks(base_url=f"{server.url}/v1", key=SecretStr("secret"), repeats=0)
        moderation = OpenAIModeration(checks, within_s=within_s)
        try:
            return await moderation.verdict("a prompt")
        finally:
            await moderation.close()


async def test_what_is_not_flagged_is_allowed() -> None:
    assert await asked(judged(flagged=False)) == Verdict(Action.allow)


@pytest.mark.parametrize(
    "category", ["sexual", "violence", "violence/graphic", "hate", "self-harm", "illicit", "harassment"]
)
async def test_what_pictures_may_tell_of_is_doubtful(category: str) -> None:
    assert await asked(judged(category)) == Verdict(Action.review, (category,))


@pytest.mark.parametrize(
    "category", ["sexual/minors", "hate/threatening", "self-harm/intent", "self-harm/instructions", "illicit/violent"]
)
async def test_what_no_picture_is_made_of_is_forbidden(category: str) -> None:
    assert await asked(judged("violence", category)) == Verdict(Action.block, tuple(sorted(("violence", category))))


async def test_a_flag_without_a_known_category_is_doubtful() -> None:
    assert await asked(judged()) == Verdict(Action.review, ("unspecified",))


async def test_its_silence_ends_in_time() -> None:
    with pytest.raises(ProviderUnreachable):
        await asked(Silence(), within_s=0.05)


@pytest.mark.parametrize("answer", [HangUp(), Reply(500, b"{}"), Reply(200, b"<html>"), json_reply({"results": None})])
async def test_whatever_else_it_answers_is_an_error_of_a_provider(answer: Answer) -> None:
    with pytest.raises(ProviderError):
        await asked(answer)
