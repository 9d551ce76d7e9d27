"""What an HTTP call brought back, read with a limit and looked into without trust."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import httpx


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers (any case), body in bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON; None when it is not JSON (a proxy's page, a cut answer)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is anything else."""
        body = self.json()
        return body if isinstance(body, dict) else {}


class AnswerTooLarge(Exception):
    """An answer has more bytes than we are ready to hold."""


async def read_answer(response: httpx.Response, *, max_bytes: int) -> Answer:
    """Read a streamed response to its end. Raises AnswerTooLarge, or httpx's errors when it is cut."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise AnswerTooLarge
    return Answer(response.status_code, response.headers, bytes(body))


def is_text(value: object) -> TypeGuard[str]:
    """True for a string that says something."""
    return isinstance(value, str) and bool(value)


def seconds(value: object, *, at_most: float = 3600.0) -> float | None:
    """A waiting time from a number or its text, in seconds within 0..at_most; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return min(max(number, 0.0), at_most) if math.isfinite(number) else None
