"""HTTP as a careful client does it: a request that may be repeated is repeated until it is answered."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

AGAIN = frozenset({429, 503})
# AttributeError: under uvloop, anyio asks a connection for its peer that was reset in the moment in which it was made.
NO_ANSWER = (httpx.TransportError, AttributeError)
PATIENCE_S = 900.0  # longer than a pass over all boundaries, in which the API is killed every few seconds
TIMEOUT_S = 12.0
PAUSE_S = 0.4


class NeverAnswered(Exception):
    """The API gave no answer within a client's patience."""


class PatientHttp:
    """Repeats what got no answer, a 429 or a 503; `strange` collects the answers that are faults of the server."""

    def __init__(self, http: httpx.AsyncClient, strange: list[str]) -> None:
        self.http = http
        self._strange = strange

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The first real answer. Raises NeverAnswered."""
        give_up_at = time.monotonic() + PATIENCE_S
        body = {"json": json} if content is None else {"content": content}
        while (answer := await self._once(method, path, body, headers)) is None:
            if time.monotonic() > give_up_at:
                raise NeverAnswered(f"{method} {path}")
            await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))
        return answer

    async def _once(
        self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None
    ) -> httpx.Response | None:
        try:
            answer = await self.http.request(method, path, headers=headers, **body)
        except NO_ANSWER:
            return None
        if answer.headers.get("x-should-retry") == "false":
            return answer
        if answer.status_code in AGAIN or answer.headers.get("x-should-retry") == "true":
            return None
        if answer.status_code >= 500:
            self._strange.append(f"{method} {path} was answered {answer.status_code}: {answer.text[:300]}")
            return None
        return answer


def promise_in(answer: httpx.Response) -> dict[str, Any] | None:
    """What a request for pictures was answered, if that promises a generation: in OpenAI's form it stands in the head."""
    if generation_id := answer.headers.get("x-diorama-generation"):
        return {"id": generation_id}
    body: dict[str, Any] = answer.json() if answer.status_code == 202 else {}
    return body or None


@asynccontextmanager
async def patient_http(api_url: str, key: str, strange: list[str]) -> AsyncIterator[PatientHttp]:
    """A client of the API at this address, with this key."""
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=50)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=api_url, headers=headers, timeout=TIMEOUT_S, limits=limits, trust_env=False
    ) as http:
        yield PatientHttp(http, strange)
