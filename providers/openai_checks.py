"""Questions to OpenAI that cost nothing: is this allowed, and how long will this model live?"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from openai import APIConnectionError, APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient, OpenAIError
from openai.types import ModerationMultiModalInputParam
from pydantic import SecretStr

from errors import ProviderUnavailable, ProviderUnreachable
from providers import data_uri
from providers.answers import Answer
from providers.http import HttpSettings
from providers.openai_errors import CATEGORIES, read_refusal

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Moderation:
    """What the moderation says: `categories` are those that it flagged."""

    flagged: bool
    categories: tuple[str, ...] = ()


class OpenAIChecks:
    """Free calls through the openai package, which may repeat them on its own.

    Every method raises errors of the ProviderError branch and nothing else.
    """

    def __init__(
        self,
        *,
        key: SecretStr,
        base_url: str = "https://api.openai.com/v1",
        http: HttpSettings | None = None,
        timeout_s: float = 15.0,
        repeats: int = 2,
    ) -> None:
        settings = http or HttpSettings()
        self._client = AsyncOpenAI(
            api_key=key.get_secret_value(),
            base_url=base_url,
            timeout=timeout_s,
            max_retries=repeats,
            http_client=DefaultAsyncHttpxClient(trust_env=settings.trust_environment),
        )

    async def moderate(self, text: str, images: Sequence[tuple[str, bytes]] = ()) -> Moderation:
        """Ask whether a prompt and its pictures, (content type, bytes) each, are allowed."""
        parts: list[ModerationMultiModalInputParam] = [{"type": "text", "text": text}]
        for content_type, body in images:
            parts.append({"type": "image_url", "image_url": {"url": data_uri.encode(body, content_type)}})
        answer = await _translated(self._client.moderations.create(model="omni-moderation-latest", input=parts))
        try:
            found = [result.categories.model_dump(by_alias=True) for result in answer.results]
            flagged = any(result.flagged for result in answer.results)
        except (AttributeError, TypeError):  # the package does not check the shape of answers
            raise ProviderUnavailable(reason="UnreadableAnswer") from None
        named = {name for row in found for name, is_flagged in row.items() if is_flagged is True}
        return Moderation(flagged, tuple(sorted(named & CATEGORIES)))

    async def shutdown_date(self, model: str) -> date | None:
        """The day on which OpenAI shuts a model down; None when none is announced. Raises ModelGone when it is gone."""
        answer = await _translated(self._client.models.retrieve(model))
        try:
            announced = answer.shutdown_date
            return date.fromisoformat(announced) if announced else None
        except (AttributeError, TypeError, ValueError):
            raise ProviderUnavailable(reason="UnreadableAnswer") from None

    async def close(self) -> None:
        """Give connections back."""
        await self._client.close()


async def _translated(call: Awaitable[Result]) -> Result:
    try:
        return await call
    except APIConnectionError as error:
        raise ProviderUnreachable(reason=type(error).__name__) from None
    except APIStatusError as error:
        response = error.response
        raise read_refusal(Answer(response.status_code, response.headers, response.content)) from None
    except (OpenAIError, ValueError) as error:  # ValueError: the answer is not JSON
        raise ProviderUnavailable(reason=type(error).__name__) from None
