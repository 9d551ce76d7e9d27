"""Calls that buy nothing: they may be repeated, a few times and with jitter."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import httpx

from errors import ProviderError, ProviderUnavailable, ProviderUnreachable
from providers.answers import Answer, AnswerTooLarge, read_answer

Result = TypeVar("Result")

_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


async def ask(client: httpx.AsyncClient, request: httpx.Request, *, timeout_s: float, max_bytes: int) -> Answer:
    """Send a request that buys nothing; any status is an answer.

    Raises ProviderUnreachable (no connection) or ProviderUnavailable (no whole answer within `timeout_s` seconds).
    """
    try:
        async with asyncio.timeout(timeout_s):
            response = await client.send(request, stream=True)
            try:
                return await read_answer(response, max_bytes=max_bytes)
            finally:
                await response.aclose()
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, AnswerTooLarge, OSError) as error:
        raise no_answer(error) from None
    except AttributeError as error:  # uvloop: a connection that is reset while it is made has no getpeername any more
        raise no_answer(error) from None


def no_answer(error: Exception) -> ProviderError:
    """What a failed call that buys nothing means; the original is named, never quoted: its text may hold URLs."""
    kind = ProviderUnreachable if isinstance(error, _NOT_CONNECTED) else ProviderUnavailable
    return kind(reason=type(error).__name__)


async def repeat(
    read: Callable[[], Awaitable[Result]], *, on: tuple[type[ProviderError], ...], pauses_s: Sequence[float]
) -> Result:
    """Call `read` again after each of the pauses (seconds, with jitter) while it raises one of `on`."""
    for pause_s in pauses_s:
        try:
            return await read()
        except on:
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
    return await read()
