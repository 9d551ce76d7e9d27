"""A picture as clients see it, made from its row alone."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from api.links import AssetLinks
from contracts.frozen import Frozen
from contracts.statuses import AssetRole, Step
from db.models import Asset
from storage.base import EXTENSIONS


class PromptOrigin(Frozen):
    """Which template a picture was described with; `sha256` is the template's hash."""

    name: str
    version: str | None
    sha256: str | None


class AssetAnswer(Frozen):
    """A stored picture; sizes in pixels and bytes."""

    id: UUID
    generation_id: UUID | None
    step: Step
    role: AssetRole
    content_type: str = Field(examples=["image/png"])
    size_bytes: int
    sha256: str
    width: int
    height: int
    provider: str | None
    model: str | None
    prompt: PromptOrigin | None
    created_at: datetime
    stored_at: datetime | None
    links: AssetLinks

    @classmethod
    def of(cls, row: Asset) -> Self:
        """An asset's row as an answer."""
        origin = None
        if row.prompt_name is not None:
            origin = PromptOrigin(name=row.prompt_name, version=row.prompt_version, sha256=row.prompt_hash)
        return cls(
            id=row.id,
            generation_id=row.generation_id,
            step=row.step,
            role=row.role,
            content_type=row.content_type,
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            width=row.width,
            height=row.height,
            provider=row.provider,
            model=row.model,
            prompt=origin,
            created_at=row.created_at,
            stored_at=row.stored_at,
            links=AssetLinks.of(row.id),
        )


def filename(row: Asset) -> str:
    """A name to save a picture under: `scene-0199c0de.png`."""
    return f"{row.step.value}-{row.id.hex[-8:]}.{EXTENSIONS[row.content_type]}"
