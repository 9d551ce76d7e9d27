"""The public HTTP API, as this command line uses it. Every POST carries an Idempotency-Key, so it may be sent again."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from commands.connection import Connection
from commands.generation_event import GenerationEvent
from commands.patience import Patience
from commands.server_sent_events import parse
from commands.troubles import RequestRefused

Json = dict[str, Any]

TIMEOUT_S = 30.0
# The API waits so long for a picture to arrive.
UPLOAD_S = 75.0
# The API answers by itself after two minutes.
ROUND_TIMEOUT_S = 150.0
# The API sends a sign of life every 15 s; three of them missed means that the connection is dead.
SILENCE_S = 45.0


class DioramaClient:
    """Sends requests, waits out a server that restarts, and follows generations over dropped connections."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._patience = Patience(str(http.base_url).rstrip("/"))

    async def submit(self, request: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """Ask for pictures; the answer names the generation. Raises RequestRefused, ServerUnreachable."""
        return await self._ask("POST", "/v1/generations", body=request, key=idempotency_key)

    async def generation(self, generation_id: str) -> Json:
        """Where a generation stands. Raises RequestRefused, ServerUnreachable."""
        return await self._ask("GET", f"/v1/generations/{generation_id}")

    async def generations(self, filters: Mapping[str, str], limit: int) -> AsyncGenerator[Json, None]:
        """Generations, newest first, page by page up to `limit`. Raises RequestRefused, ServerUnreachable."""
        cursor: str | None = None
        while limit > 0:
            query = {**filters, "limit": str(min(limit, 100))} | ({"cursor": cursor} if cursor else {})
            page = await self._ask("GET", "/v1/generations", query=query)
            for item in page["items"]:
                yield item
            limit -= len(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def upload(self, picture: bytes, content_type: str) -> Json:
        """Bring a picture in; the same bytes are the same picture. Raises RequestRefused, ServerUnreachable."""
        headers = {"Content-Type": content_type}
        request = self._http.build_request("POST", "/v1/assets", content=picture, headers=headers, timeout=UPLOAD_S)
        answer: Json = (await self._send(request)).json()
        return answer

    async def cancel(self, generation_id: str) -> Json:
        """Ask a generation to stop. Raises RequestRefused (it has ended), ServerUnreachable."""
        return await self._ask("POST", f"/v1/generations/{generation_id}/cancel")

    async def themes(self) -> list[Json]:
        """The places a scene can be set in. Raises RequestRefused, ServerUnreachable."""
        return list((await self._ask("GET", "/v1/themes"))["items"])

    async def reconcile(self, *, dry_run: bool) -> Json:
        """A whole round of the reconciler. Raises RequestRefused (no operator, or it takes too long), ServerUnreachable."""
        body = {"dry_run": dry_run}
        return await self._ask("POST", "/v1/operations/reconciliations", body=body, timeout_s=ROUND_TIMEOUT_S)

    async def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Json:
        """Any other question to the API; no answer's body is {}. Raises RequestRefused, ServerUnreachable."""
        return await self._ask(method, path, query=query, body=body)

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Any question whose answer is not JSON, or whose body is not. Raises RequestRefused, ServerUnreachable."""
        request = self._http.build_request(
            method, path, params=query, content=content, headers=headers, timeout=UPLOAD_S
        )
        return (await self._send(request)).content

    async def download(self, path: str) -> bytes:
        """What is behind a link of the API. Raises RequestRefused, ServerUnreachable."""
        return (await self._send(self._http.build_request("GET", path))).content

    async def follow(self, generation_id: str) -> AsyncGenerator[GenerationEvent, None]:
        """A snapshot, then every event as it comes, up to the final one, over as many connections as it takes.

        Raises RequestRefused, ServerUnreachable.
        """
        last_id = ""
        while True:
            try:
                async with aclosing(self._events(generation_id, last_id)) as events:
                    async for event in events:
                        last_id = str(event.seq)
                        yield event
                        if event.is_final:
                            return
            except httpx.TransportError as lost:
                await self._patience.pause(_words(lost))
            else:
                await self._patience.pause("the stream of events ended too early")

    async def _events(self, generation_id: str, last_id: str) -> AsyncGenerator[GenerationEvent, None]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        path = f"/v1/generations/{generation_id}/events"
        timeout = httpx.Timeout(TIMEOUT_S, read=SILENCE_S)
        async with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.status_code == 503:
                return
            if response.is_error:
                await response.aread()
                raise _refusal(response)
            async for event in parse(response.aiter_lines()):
                self._patience.answered()
                yield GenerationEvent(int(event.id), event.event, json.loads(event.data))

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Json:
        headers = {"Idempotency-Key": key or str(uuid4())} if method == "POST" else {}
        request = self._http.build_request(method, path, params=query, json=body, headers=headers, timeout=timeout_s)
        response = await self._send(request)
        answer: Json = response.json() if response.content else {}
        return answer

    async def _send(self, request: httpx.Request) -> httpx.Response:
        while True:
            try:
                response = await self._http.send(request)
            except httpx.TransportError as lost:
                await self._patience.pause(_words(lost))
                continue
            if response.status_code == 503:
                await self._patience.pause("it answers 503", at_least_s=_retry_after_s(response))
                continue
            self._patience.answered()
            if response.is_error:
                raise _refusal(response)
            return response


@asynccontextmanager
async def connected(connection: Connection) -> AsyncIterator[DioramaClient]:
    """A client for one command."""
    host = urlsplit(connection.api_url).hostname
    async with httpx.AsyncClient(
        base_url=connection.api_url,
        headers={"Authorization": f"Bearer {connection.api_key}"},
        timeout=TIMEOUT_S,
        trust_env=host not in {"127.0.0.1", "localhost", "::1"},  # no proxy stands between us and this machine
    ) as http:
        yield DioramaClient(http)


def _refusal(response: httpx.Response) -> RequestRefused:
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    return RequestRefused(response.status_code, problem if isinstance(problem, dict) else {})


def _retry_after_s(response: httpx.Response) -> float:
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isdigit() else 0.0


def _words(lost: httpx.TransportError) -> str:
    match lost:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return "no connection"
        case httpx.TimeoutException():
            return "no answer in time"
        case _:
            return "the connection was lost"
