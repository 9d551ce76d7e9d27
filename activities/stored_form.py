"""What a bought picture looks like in the database and in the store: its row, its object, and what the object remembers."""

from decimal import Decimal, InvalidOperation

from contracts.statuses import AssetRole
from db.models import Asset, Spend
from imaging.fit import FittedPicture
from storage.base import NewObject, StoredObject, object_key

# The word under which an answer's object remembers what it costs (USD): its row cannot, before it is known to be there.
COST = "cost-usd"


def new_asset(spend: Spend, picture: FittedPicture, role: AssetRole) -> Asset:
    """The row of a picture that this purchase gave, not yet written."""
    # An answer has a key of its own for each purchase: another one may give the same bytes after this one's were deleted.
    step = spend.step if role is AssetRole.picture else f"{spend.step}-{role}-{spend.purchase}"
    key = object_key(spend.tenant_id, spend.generation_id, step, picture.sha256, picture.content_type)
    return Asset(
        tenant_id=spend.tenant_id,
        generation_id=spend.generation_id,
        spend_id=spend.id,
        step=spend.step,
        role=role,
        key=key,
        content_type=picture.content_type,
        size_bytes=len(picture.body),
        sha256=picture.sha256,
        width=picture.width,
        height=picture.height,
        provider=spend.provider,
        model=spend.model,
        prompt_name=spend.prompt_name,
        prompt_version=spend.prompt_version,
        prompt_hash=spend.prompt_hash,
    )


def new_object(row: Asset, cost_usd: Decimal | None) -> NewObject:
    """The object of a row. `cost_usd`: what the provider said that it costs, for the only copy of an answer."""
    words = {"generation": str(row.generation_id), "step": str(row.step), "model": row.model or ""}
    words["prompt-hash"] = (row.prompt_hash or "")[:16]
    cost = {} if cost_usd is None else {COST: str(cost_usd)}
    return NewObject(key=row.key, content_type=row.content_type, metadata=words | cost, tags=words, sha256=row.sha256)


def cost_in(found: StoredObject) -> Decimal | None:
    """What the provider said the answer costs (USD), if it did, and if the object was not written by something else."""
    try:
        return Decimal(found.metadata[COST])
    except (KeyError, InvalidOperation):
        return None
