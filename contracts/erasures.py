"""Being forgotten: whose pictures and words are to go, and the receipt that they are gone."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from contracts.frozen import Frozen


class ErasureSubject(StrEnum):
    """What is to be forgotten: a session, or one of a tenant's own users."""

    session = "session"
    user = "user"


class ErasureOrder(Frozen):
    """Forget what belongs to this wish. The engine learns its ids, and never whom it is about."""

    erasure_id: UUID
    tenant_id: UUID


class ErasureFacts(Frozen):
    """What was removed and looked for, and what the look found."""

    erasure_id: UUID
    tenant_id: UUID
    subject: ErasureSubject
    subject_hash: str = Field(description="A keyed hash of the session's or user's id, which is forgotten, too.")
    requested_at: datetime
    verified_at: datetime
    generations: int = Field(description="Requests whose words were removed; their amounts of money stay.")
    pictures: int = Field(description="Pictures that were removed, the client's own among them.")
    objects_removed: int = Field(
        description="Files in the store that are gone: pictures, and what they were made from."
    )
    objects_left: int = Field(description="Files that a listing of the store still showed; a receipt is written at 0.")
    rows_redacted: int = Field(description="Rows of the database that held words, or hashes of words, and do not now.")


class Receipt(ErasureFacts):
    """The facts, and the proof that this service wrote them."""

    signature: str = Field(description="HMAC-SHA256 of the facts under a key of this service, in hex.")
