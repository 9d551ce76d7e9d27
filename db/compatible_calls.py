"""Which call of a client in OpenAI's form is a repetition of which: so that what was bought for it is found again."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.columns import now
from db.compatible_models import CompatibleCall
from db.keys import Caller

# The openai client gives up after 600 s, and waits up to 120 s before it comes again.
REPEATED_WITHIN = timedelta(minutes=30)
# An answer that was written but lost on its way is asked for again within moments.
ASKED_AGAIN_WITHIN = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call as it came: the hash of all that it asks for, the client's key if it named one, and its repetition's number."""

    caller: Caller
    request_hash: str
    key: str | None
    attempt: int


async def begin(session: AsyncSession, incoming: Incoming) -> CompatibleCall:
    """The call that this one is or repeats.

    Under a key of the client's own it may ask for something else: only the request that is accepted binds a key, and all
    others are refused there. A repetition without a key is matched by application, request and number, each call with one repetition only: two equal
    calls at once stay two. A call that is no repetition never finds an earlier one.
    """
    if incoming.key is None and incoming.attempt > 0 and (known := await _repeated(session, incoming)):
        return known
    fresh = CompatibleCall(
        tenant_id=incoming.caller.tenant_id,
        key_id=incoming.caller.key_id,
        idempotency_key=_key(incoming.key),
        request_hash=incoming.request_hash,
        implied=incoming.key is None,
        attempt=incoming.attempt,
    )
    await session.exec(insert(CompatibleCall).values(fresh.model_dump()).on_conflict_do_nothing())
    same_key = select(CompatibleCall).where(
        CompatibleCall.tenant_id == fresh.tenant_id,
        CompatibleCall.idempotency_key == fresh.idempotency_key,
    )
    return (await session.exec(same_key)).one()


def _key(given: str | None) -> str:
    """The key to accept the generation with: apart from those of the native API, where the same word is another request."""
    return f"compatible.{hashlib.sha256(given.encode()).hexdigest() if given else secrets.token_hex(16)}"


async def _repeated(session: AsyncSession, incoming: Incoming) -> CompatibleCall | None:
    moment = now()
    answered = col(CompatibleCall.answered_at)
    candidates = (
        select(CompatibleCall)
        .where(
            CompatibleCall.tenant_id == incoming.caller.tenant_id,
            CompatibleCall.request_hash == incoming.request_hash,
            CompatibleCall.key_id == incoming.caller.key_id,
            col(CompatibleCall.implied),
            CompatibleCall.attempt < incoming.attempt,
            CompatibleCall.created_at > moment - REPEATED_WITHIN,
            or_(answered.is_(None), answered > moment - ASKED_AGAIN_WITHIN),
        )
        .order_by(answered.is_not(None), col(CompatibleCall.attempt).desc(), col(CompatibleCall.created_at).desc())
        .limit(1)
        # A row that somebody else holds is waited for, as skipping it would buy a second time. It is looked at once more
        # then, so that of two repetitions at once the second goes on to the next row.
        .with_for_update()
    )
    call = (await session.exec(candidates)).first()
    if call is not None:
        call.attempt, call.answered_at = incoming.attempt, None
        session.add(call)
    return call


async def mark_answered(session: AsyncSession, call_id: UUID) -> None:
    """All of its answer was written: an equal call from now on is a new one."""
    await session.exec(update(CompatibleCall).where(col(CompatibleCall.id) == call_id).values(answered_at=now()))


async def forget(session: AsyncSession, call_id: UUID) -> None:
    """Its generation has failed and may be tried anew: the repetition that comes is to be a new call.

    A call under the client's own key stays: that key names one generation for ever.
    """
    await session.exec(delete(CompatibleCall).where(col(CompatibleCall.id) == call_id, col(CompatibleCall.implied)))


async def old_rows(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """How many calls began before then; counts to `limit`."""
    old = select(CompatibleCall.id).where(CompatibleCall.created_at < before).limit(limit)
    return len((await session.exec(old)).all())


async def purge(session: AsyncSession, *, before: datetime, limit: int) -> None:
    """Forget calls that began before then, at most `limit`."""
    old = select(CompatibleCall.id).where(CompatibleCall.created_at < before).limit(limit)
    await session.exec(delete(CompatibleCall).where(col(CompatibleCall.id).in_(old)))
