"""A call in OpenAI's form as a generation: accepted once however often its client repeats it, and waited for."""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final
from uuid import UUID

import structlog
from fastapi import Request

from api.acceptance import Acceptance
from api.model_warnings import sunset_headers
from api.openai.bodies import Body
from api.openai.errors import GENERATION_HEADER, SERVER, OpenAIError, Refused, told
from api.openai.parameters import ImageParameters
from api.safe_fetch import MAX_BYTES
from api.services import Services
from contracts.pictures import Failure, PictureMade
from contracts.requests import ImageRequest
from contracts.statuses import Status
from db import compatible_calls
from db.compatible_calls import Incoming
from db.compatible_models import CompatibleCall
from db.keys import Caller
from db.models import Generation
from errors import (
    DatabaseUnavailable,
    DioramaError,
    GenerationCanceled,
    OutcomeUnknown,
    error_class,
)

log = structlog.get_logger(__name__)

# As long as the openai client waits of itself. No byte can be sent meanwhile: the status comes first, and is not known.
HOLD_S: Final = 590.0
MOST_REPETITIONS: Final = 1000


@dataclass(frozen=True, slots=True)
class Ordered:
    """A call whose generation was accepted."""

    call: CompatibleCall
    acceptance: Acceptance

    @property
    def generation_id(self) -> UUID:
        """The generation that makes its pictures."""
        return self.acceptance.generation_id

    @property
    def headers(self) -> dict[str, str]:
        """What every good answer to it says: where to learn more, and whether a model of it ends soon."""
        told = {GENERATION_HEADER: str(self.generation_id), "Cache-Control": "no-store"}
        return told | sunset_headers(self.acceptance.body)


def incoming(request: Request, caller: Caller, body: Body, key: str | None) -> Incoming:
    """The call as its repetitions are told from others: the path counts, too."""
    said = request.headers.get("x-stainless-retry-count", "0")
    attempt = int(said) if said.isdecimal() and len(said) < 5 else 0
    whole = hashlib.sha256(f"{request.url.path}\n{body.hash}".encode()).hexdigest()
    return Incoming(caller, whole, key, min(attempt, MOST_REPETITIONS))


async def order(services: Services, call: Incoming, body: Body, parameters: ImageParameters) -> Ordered:
    """Accept the call's generation, or find the one that was accepted for it. Raises what the desk raises."""
    async with services.database.transaction("compatible.begun") as session:
        row = await compatible_calls.begin(session, call)
    key, hash_ = row.idempotency_key, call.request_hash
    accepted = await services.desk.accepted_before(call.caller, key, hash_)
    if accepted is None:
        request = await _request(services, call.caller, body, parameters)
        # With the call's hash and not the request's own: a repetition may have brought its pictures under other ids.
        accepted = await services.desk.accept(call.caller, request, key, hash_=hash_)
    log.info("compatible.accepted", generation=str(accepted.generation_id), attempt=row.attempt)
    return Ordered(row, accepted)


async def _request(services: Services, caller: Caller, body: Body, parameters: ImageParameters) -> ImageRequest:
    count = len(body.pictures) + len(body.urls)
    if count:  # refused at a price, before anything is stored, if at all
        services.quoter.quote(parameters.request(tuple(UUID(int=number) for number in range(count))))
    # One after the other, so that no call holds more than one in memory.
    brought = [await _brought(services, caller, picture) for picture in body.pictures]
    fetched = [await _fetched(services, caller, url) for url in body.urls]
    return parameters.request((*brought, *fetched))


async def _brought(services: Services, caller: Caller, picture: BinaryIO) -> UUID:
    """The same bytes are the same picture: what a repetition brings once more is there already."""
    body = await asyncio.to_thread(picture.read, MAX_BYTES + 1)  # one more is refused
    return (await services.input_pictures.uploaded(body, tenant_id=caller.tenant_id)).id


async def _fetched(services: Services, caller: Caller, url: str) -> UUID:
    async with services.upload_reader.slot():
        picture = await services.input_pictures.fetch(url)
        return (await services.input_pictures.uploaded(picture.body, tenant_id=caller.tenant_id)).id


async def finished(
    services: Services, ordered: Ordered, *, within_s: float = HOLD_S
) -> tuple[Generation, list[PictureMade]]:
    """The generation once it has succeeded, with its pictures. Raises Refused: it ended otherwise, or has not ended."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await services.following.until_final(ordered.generation_id)
    return await ended(services, ordered)


async def ended(services: Services, ordered: Ordered) -> tuple[Generation, list[PictureMade]]:
    """The same without waiting."""
    async with services.database.transaction() as session:
        row = await session.get_one(Generation, ordered.generation_id)
    if row.status is not Status.succeeded:
        raise Refused(await _refusal(services, ordered, row))
    return row, [PictureMade.model_validate(made) for made in (row.result or {}).get("pictures", [])]


async def answered(services: Services, ordered: Ordered) -> None:
    """Note that all of the answer was written. If that fails, a repetition finds the same pictures a little longer."""
    with suppress(DatabaseUnavailable):
        await _write_end(services, ordered, again=False)


async def _write_end(services: Services, ordered: Ordered, *, again: bool) -> None:
    end = compatible_calls.forget if again else compatible_calls.mark_answered
    async with services.database.transaction("compatible.answered") as session:
        await end(session, ordered.call.id)


async def _refusal(services: Services, ordered: Ordered, row: Generation) -> OpenAIError:
    if not row.status.is_final:
        return _unfinished(services, ordered)
    answer = replace(told(_failure(row)), generation_id=row.id, cost_usd=row.cost_usd)
    if not answer.again:
        return answer
    if not ordered.call.implied:  # its key names this generation for ever
        return replace(answer, again=False, retry_after_s=None)
    await _write_end(services, ordered, again=True)
    return answer


def _unfinished(services: Services, ordered: Ordered) -> OpenAIError:
    """A repetition goes on waiting for the same pictures."""
    status = 503 if services.following.is_stopping else 504
    return OpenAIError(
        status,
        f"The pictures are still being made: repeat the call, or follow /v1/generations/{ordered.generation_id}.",
        type=SERVER,
        code="still_running",
        again=True,
        retry_after_s="1",
        generation_id=ordered.generation_id,
    )


def _failure(row: Generation) -> DioramaError:
    if row.status is Status.canceled:
        return GenerationCanceled()
    failure = Failure.model_validate(row.error) if row.error else None
    if row.status is Status.needs_review:
        return OutcomeUnknown(f"An operator has to decide about the generation {row.id}")
    if failure is None:
        return DioramaError()
    facts: dict[str, Any] = {name: fact for name, fact in failure.facts.items() if fact is not None}
    billed = facts.pop("billed", None)
    error = error_class(failure.code)(failure.detail, **facts)
    if billed is not None:
        error.billed = billed
    return error
