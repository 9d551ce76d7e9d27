"""Other words for a refused prompt: a language model's when it is there in time, else the rules'."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from api import suggesting
from api.suggesting import Suggester
from errors import ProviderCredentials, ProviderError, ProviderUnavailable, ProviderUnreachable
from prompts.rewriting import Rewriter
from providers.openai_rewriting import OpenAIRewriter
from tests.provider_server import HangUp, Reply, Script, Server, Silence, json_reply, provider_server

GORY = "a gory battle"
BY_RULES = "a dramatic battle"
RULES = Rewriter.load()


class Model:
    """Says what it is told to say, and counts how often it is asked."""

    def __init__(self, answer: str | ProviderError | None) -> None:
        self.answer = answer
        self.asked = 0

    async def rewritten(self, prompt: str, categories: Sequence[str]) -> str | None:
        self.asked += 1
        if isinstance(self.answer, ProviderError):
            raise self.answer
        return self.answer


async def suggested(answer: str | ProviderError | None, prompt: str = GORY, category: str = "violence") -> str | None:
    return await Suggester(RULES, Model(answer)).suggested(prompt, [category], longest=100)


async def test_the_models_words_go_before_those_of_the_rules() -> None:
    assert await suggested("a tense battle at dawn") == "a tense battle at dawn"


@pytest.mark.parametrize(
    "answer",
    [None, "", GORY, "A GORY Battle", "x" * 101, "with a bell \x07", ProviderUnavailable(), ProviderUnreachable()],
)
async def test_the_rules_help_where_the_model_gives_nothing_usable(answer: str | ProviderError | None) -> None:
    assert await suggested(answer) == BY_RULES


async def test_without_a_model_the_rules_suggest() -> None:
    assert await Suggester(RULES).suggested(GORY, ["violence"], longest=100) == BY_RULES


async def test_there_is_no_suggestion_where_there_must_be_none() -> None:
    model = Model("something")

    assert await Suggester(RULES, model).suggested(GORY, ["sexual/minors"], longest=100) is None
    assert model.asked == 0


async def test_a_model_is_asked_once_for_a_prompt_however_often_it_is_read() -> None:
    model = Model("a tense battle at dawn")
    suggester = Suggester(RULES, model)

    for _ in range(3):
        await suggester.suggested(GORY, ["violence"], longest=100)

    assert model.asked == 1


async def test_a_model_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        async def rewritten(self, prompt: str, categories: Sequence[str]) -> str | None:
            await asyncio.Event().wait()
            return None

    monkeypatch.setattr(suggesting, "ASK_FOR_S", 0.01)

    assert await Suggester(RULES, Slow()).suggested(GORY, ["violence"], longest=100) == BY_RULES


@asynccontextmanager
async def language_model(script: Script, *, timeout_s: float = 60) -> AsyncIterator[tuple[OpenAIRewriter, Server]]:
    async with provider_server(script) as server:
        url = f"{server.url}/v1"
        asked = OpenAIRewriter(key=SecretStr("secret"), model="a-model", base_url=url, timeout_s=timeout_s)
        try:
            yield asked, server
        finally:
            await asked.close()


def said(content: object) -> Reply:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json_reply({"id": "1", "object": "chat.completion", "created": 1, "model": "a-model", "choices": [choice]})


async def test_a_language_model_is_asked_with_the_categories_and_the_prompt() -> None:
    async with language_model(lambda _: said(" a calm lake ")) as (model, server):
        assert await model.rewritten(GORY, ["violence"]) == "a calm lake"

    sent = server.requests[0].json()
    assert sent["model"] == "a-model"
    assert GORY in sent["messages"][-1]["content"]
    assert "violence" in sent["messages"][-1]["content"]


@pytest.mark.parametrize("content", ["NONE", "none.", "", None])
async def test_a_language_model_may_see_no_other_words(content: object) -> None:
    async with language_model(lambda _: said(content)) as (model, _):
        assert await model.rewritten(GORY, []) is None


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (lambda _: HangUp(), ProviderUnreachable),
        (lambda _: json_reply({"error": {"code": "invalid_api_key"}}, 401), ProviderCredentials),
        (lambda _: json_reply({}, 500), ProviderUnavailable),
        (lambda _: Reply(200, b"<html>", {"Content-Type": "text/html"}), ProviderUnavailable),
        (lambda _: json_reply({"choices": [{}]}), ProviderUnavailable),
    ],
)
async def test_whatever_goes_wrong_at_the_model_is_an_error_of_our_tree(
    script: Script, error: type[ProviderError]
) -> None:
    async with language_model(script) as (model, _):
        with pytest.raises(error):
            await model.rewritten(GORY, [])


async def test_a_language_model_that_never_answers_is_given_up() -> None:
    async with language_model(lambda _: Silence(), timeout_s=0.5) as (model, _):
        with pytest.raises(ProviderUnreachable):
            await model.rewritten(GORY, [])
