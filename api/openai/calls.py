"""A call in OpenAI's form as a generation: accepted once however often its client repeats it, and waited for."""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import structlog
from fastapi import Request

from api.openai.bodies import Body
from api.openai.errors import SERVER, OpenAIError, Refused, told
from api.openai.parameters import ImageParameters
from api.services import Services
from contracts.pictures import Failure, PictureMade
from contracts.requests import ImageRequest
from contracts.statuses import Status
from db import compatible_calls, generations
from db.compatible_calls import Incoming
from db.compatible_models import CompatibleCall
from db.keys import Caller
from db.models import Generation
from errors import (
    DatabaseUnavailable,
    DioramaError,
    GenerationCanceled,
    IdempotencyKeyReused,
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
    generation_id: UUID


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
    known = await _accepted(services, row)
    if known is None:
        request = await _request(services, call.caller, body, parameters)
        try:
            known = (await services.desk.accept(call.caller, request, row.idempotency_key)).generation_id
        except IdempotencyKeyReused:  # its repetition, with pictures of its own, was accepted in this very moment
            known = await _accepted(services, row)
            if known is None:
                raise
    log.info("compatible.accepted", generation=str(known), attempt=row.attempt)
    return Ordered(row, known)


async def _accepted(services: Services, row: CompatibleCall) -> UUID | None:
    async with services.database.transaction() as session:
        known = await generations.by_idempotency_key(session, row.tenant_id, row.idempotency_key)
    return known.id if known else None


async def _request(services: Services, caller: Caller, body: Body, parameters: ImageParameters) -> ImageRequest:
    if not body.pictures and not body.urls:
        return parameters.request()
    # Refused at a price, before anything is stored, if at all.
    services.quoter.quote(
        parameters.request(tuple(UUID(int=number) for number in range(len(body.pictures or body.urls))))
    )
    bodies = body.pictures or [(await services.input_pictures.fetch(url)).body for url in body.urls]
    # The same bytes are the same picture: what a repetition brings once more is there already.
    kept = [await services.input_pictures.uploaded(picture, tenant_id=caller.tenant_id) for picture in bodies]
    return parameters.request(tuple(asset.id for asset in kept))


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
    answer = replace(told(_failure(row)), generation_id=row.id)
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
