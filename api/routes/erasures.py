"""Erasures: forget all pictures and words of a session or of a user, and prove it."""

from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, model_validator

from api.dependencies import ActorDep, GenerateDep, ReadDep, ServicesDep, TransactionDep
from api.links import ErasureLinks
from api.problems import documented
from api.strict_json import StrictJsonRoute
from contracts.erasures import ErasureOrder, ErasureSubject, Receipt
from contracts.frozen import Frozen
from contracts.requests import SessionId, UserId
from db import erasures
from db.erasures import Wish
from db.protection_models import Erasure
from engine.starts import ErasureStart

router = APIRouter(prefix="/v1/erasures", tags=["erasures"], route_class=StrictJsonRoute)


class ErasureRequest(Frozen):
    """Who is to be forgotten: one of the two."""

    session_id: SessionId | None = Field(default=None, examples=["evening-walk"])
    user_id: UserId | None = Field(default=None, description="The word for a user of yours that generations came with.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.session_id is None) == (self.user_id is None):
            raise ValueError("give exactly one of session_id and user_id")
        return self

    @property
    def subject(self) -> tuple[ErasureSubject, str]:
        """What is to be forgotten, and its id."""
        if self.user_id is not None:
            return ErasureSubject.user, self.user_id
        return ErasureSubject.session, self.session_id or ""


class ErasureAnswer(Frozen):
    """Where an erasure stands; its receipt comes when nothing is left."""

    id: UUID
    subject: ErasureSubject
    subject_hash: str = Field(description="A keyed hash of the id, which is forgotten with the rest.")
    created_at: datetime
    verified_at: datetime | None = Field(description="When a look at all tables and at the store found nothing more.")
    receipt: Receipt | None
    links: ErasureLinks

    @classmethod
    def of(cls, row: Erasure) -> Self:
        """A wish as an answer."""
        return cls(
            id=row.id,
            subject=ErasureSubject(row.subject),
            subject_hash=row.subject_hash,
            created_at=row.created_at,
            verified_at=row.verified_at,
            receipt=Receipt.model_validate(row.receipt) if row.receipt else None,
            links=ErasureLinks.of(row.id),
        )


@router.post(
    "",
    summary="Forget a session or a user",
    status_code=202,
    responses=documented(400, 401, 413, 415, 422, 503),
)
async def begin(services: ServicesDep, caller: GenerateDep, actor: ActorDep, request: ErasureRequest) -> ErasureAnswer:
    """Erase all pictures and words of a session or of a user of yours.

    They vanish at once and live generations are canceled; files and words are removed soon after, and looked for. What
    stays are amounts of money without any word. It cannot be undone. Repeating it while it runs is the same erasure; whoever
    is not known is erased, too, with a receipt that there was nothing.
    """
    subject, subject_id = request.subject
    hashed = services.receipts.subject_hash(caller.tenant_id, subject, subject_id)
    async with services.database.transaction("erasure.begin") as session:
        begun = await erasures.begin(session, actor, Wish(caller.tenant_id, subject, subject_id, hashed))
    for generation in begun.live:
        services.dispatcher.cancel_soon(generation.id, generation.run)
    services.dispatcher.start_soon(
        ErasureStart(ErasureOrder(erasure_id=begun.erasure.id, tenant_id=begun.erasure.tenant_id))
    )
    return ErasureAnswer.of(begun.erasure)


@router.get("/{erasure_id}", summary="Read an erasure", responses=documented(401, 404, 422, 503))
async def read(caller: ReadDep, session: TransactionDep, erasure_id: UUID) -> ErasureAnswer:
    """An erasure, and its receipt when it is verified. The receipt stays for ever."""
    return ErasureAnswer.of(await erasures.of_tenant(session, caller.tenant_id, erasure_id))
