"""Live events of a generation: Server-Sent Events and WebSocket, the same frames in both."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, WebSocket
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException

from api.dependencies import KeyDep, ReadDep, ServicesDep, admitted
from api.following import EventNote
from api.generation_answers import GenerationAnswer
from api.problems import documented
from api.services import Services, services_of
from contracts.scopes import KeyScope
from db import generations
from db.columns import now
from db.keys import Caller
from db.models import Generation
from errors import DatabaseUnavailable, NotFound, RateLimited, ScopeMissing, TenantSuspended, Unauthenticated

router = APIRouter(prefix="/v1/generations", tags=["events"])

RETRY_MS = 1000  # how long a browser waits before it comes back
KEY_PROTOCOL = "diorama.key."
PROTOCOL = "diorama.v1"
CLOSE_UNAUTHENTICATED = 4401
CLOSE_FORBIDDEN = 4403
CLOSE_NOT_FOUND = 4404
CLOSE_TOO_FAST = 4429
CLOSE_RESTART = 1012
CLOSE_TRY_LATER = 1013


# Browsers cannot set a header on a WebSocket.
LastSeen = Annotated[int | None, Query(ge=0, le=2**31 - 1)]


@dataclass(frozen=True, slots=True)
class Follow:
    """What to tell a client: a snapshot first (or None), then the events behind `after_seq`, as long as `key` is valid."""

    generation_id: UUID
    snapshot: EventNote | None
    after_seq: int
    key: str = field(repr=False)


async def _row(services: Services, caller: Caller, generation_id: UUID) -> Generation:
    async with services.database.transaction() as session:
        row = await generations.of_tenant(session, caller.tenant_id, generation_id)
    if row is None:
        raise NotFound("There is no such generation.")
    return row


def _follow(row: Generation, last_seen: int | None, key: str) -> Follow:
    """From the beginning with a snapshot, or from where the client was. The row's counter belongs to the row's state."""
    if last_seen is not None:
        return Follow(row.id, None, min(last_seen, row.event_seq), key)
    shown = GenerationAnswer.of(row).model_dump(mode="json", by_alias=True)
    return Follow(row.id, EventNote(row.event_seq, "snapshot", shown, now()), row.event_seq, key)


async def _start(
    services: ServicesDep,
    caller: ReadDep,
    key: KeyDep,
    generation_id: UUID,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**31 - 1)] = None,
) -> Follow:
    row = await _row(services, caller, generation_id)
    if last_event_id is not None and row.status.is_final and last_event_id >= row.event_seq:
        raise HTTPException(204)  # the client has seen the end: 204 makes a browser stop coming back
    return _follow(row, last_event_id, key)


async def _notes(services: Services, follow: Follow) -> AsyncGenerator[EventNote, None]:
    if follow.snapshot is not None:
        yield follow.snapshot
    async with aclosing(services.following.follow(follow.generation_id, follow.after_seq)) as notes:
        async for note in notes:
            await _check_key(services, follow)
            yield note


async def _check_key(services: Services, follow: Follow) -> None:
    """Raises Unauthenticated, TenantSuspended: who lost the key's rights meanwhile is told nothing more."""
    with suppress(DatabaseUnavailable):
        await services.authenticator.caller(follow.key)


@router.get(
    "/{generation_id}/events",
    summary="Follow a generation by server-sent events",
    response_class=EventSourceResponse,
    responses={
        204: {"description": "`Last-Event-ID` is the end: there is nothing more"},
        **documented(401, 404, 422, 503),
    },
)
async def events(services: ServicesDep, follow: Annotated[Follow, Depends(_start)]) -> AsyncIterable[ServerSentEvent]:
    """Follow a generation: first a `snapshot`, or what came after `Last-Event-ID`; ends after the final event."""
    with suppress(Unauthenticated, TenantSuspended):  # the client comes back, and is refused
        async with aclosing(_notes(services, follow)) as notes:
            async for note in notes:
                yield ServerSentEvent(data=note.data, event=note.type, id=str(note.seq), retry=RETRY_MS)


@router.websocket("/{generation_id}/ws")
async def follow_by_websocket(websocket: WebSocket, generation_id: str, last_event_id: LastSeen = None) -> None:
    """Follow a generation: JSON objects `{type, seq, data, time}`, beginning with a `snapshot`.

    Who comes back names the last `seq` that it has as `?last_event_id=`, and gets what came after it, without a snapshot.
    The key comes in the Authorization header or, from browsers, as the sub-protocol `diorama.key.<key>`.
    Close codes: 1000 ended, 1012 restarting, 1013 try later, 4401 no valid key, 4403 the key may not,
    4404 no such generation, 4429 too many requests.
    """
    services = await services_of(websocket)
    await websocket.accept(subprotocol=_subprotocol(websocket))
    try:
        caller = await admitted(services, websocket, key := _key(websocket))
        caller.check(KeyScope.read)
        follow = _follow(await _row(services, caller, UUID(generation_id)), last_event_id, key)
    except Unauthenticated:
        await websocket.close(CLOSE_UNAUTHENTICATED, "a valid API key is needed")
    except (ScopeMissing, TenantSuspended) as refused:
        await websocket.close(CLOSE_FORBIDDEN, refused.code)
    except RateLimited as refused:
        await websocket.close(CLOSE_TOO_FAST, f"try again after {refused.facts['retry_after_s']} s")
    except (NotFound, ValueError):
        await websocket.close(CLOSE_NOT_FOUND, "there is no such generation")
    except DatabaseUnavailable:
        await websocket.close(CLOSE_TRY_LATER, "try again later")
    else:
        await _serve(websocket, services, follow)


def _subprotocol(websocket: WebSocket) -> str | None:
    """The one to select: a browser hangs up when it offered some and none is selected."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return PROTOCOL if PROTOCOL in offered else next(iter(offered), None)


def _key(websocket: WebSocket) -> str:
    scheme, _, key = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    offered: list[str] = websocket.scope.get("subprotocols", [])
    named = (name.removeprefix(KEY_PROTOCOL) for name in offered if name.startswith(KEY_PROTOCOL))
    return next(named, "")


async def _serve(websocket: WebSocket, services: Services, follow: Follow) -> None:
    """Send until the end, or until the client leaves; whatever the client says is ignored."""
    sending = asyncio.create_task(_send(websocket, services, follow))
    leaving = asyncio.create_task(_until_left(websocket))
    try:
        done, _ = await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        if sending in done and isinstance(sending.exception(), Unauthenticated | TenantSuspended):
            await websocket.close(CLOSE_UNAUTHENTICATED, "the API key is not valid any more")
        elif sending in done and sending.exception() is None:
            restarting = services.following.is_stopping
            await websocket.close(CLOSE_RESTART if restarting else 1000)
    finally:
        sending.cancel()
        leaving.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send(websocket: WebSocket, services: Services, follow: Follow) -> None:
    async with aclosing(_notes(services, follow)) as notes:
        async for note in notes:
            await websocket.send_text(json.dumps(_frame(note), separators=(",", ":")))


def _frame(note: EventNote) -> dict[str, Any]:
    return {"type": note.type, "seq": note.seq, "data": note.data, "time": note.time.isoformat()}


async def _until_left(websocket: WebSocket) -> None:
    message: dict[str, Any] = {"type": ""}
    while message["type"] != "websocket.disconnect":
        message = dict(await websocket.receive())
