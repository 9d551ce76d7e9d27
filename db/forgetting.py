"""Taking the words out of rows. What stays is what accounts need: ids, times, states, providers and amounts.

`PLACES` says, for every table that holds words of a client's or hashes of them, what is written in their place. The same
table is asked whether any are left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import AssetRole, AssetState
from db.generations import LIVE
from db.models import Asset, Generation


@dataclass(frozen=True, slots=True)
class Place:
    """A table with words: how its rows belong to generation `g`, what replaces the words, and how a row without any looks."""

    table: str
    belongs: str
    redacted: str
    is_clean: str


PLACES: Final[Sequence[Place]] = (
    Place(
        "generation",
        "t.id = g.id",
        # The kind stays, so that whatever reads a request meets a word that it knows; `erased` says why nothing else is there.
        "request = jsonb_build_object('kind', t.kind, 'erased', true), acceptance = '{}', request_hash = '', stage = '', "
        "session_id = null, user_id = null, tags = '{}', idempotency_key = null, error = null, rollback = null, "
        # Whoever succeeded has a result.
        "result = case when t.result is not null then jsonb_build_object('pictures', jsonb_build_array()) end",
        "t.request ? 'erased' and t.acceptance = '{}' and t.request_hash = '' and t.session_id is null "
        "and t.user_id is null and t.tags = '{}' and t.idempotency_key is null and t.error is null and t.rollback is null "
        "and (t.result is null or t.result = jsonb_build_object('pictures', jsonb_build_array()))",
    ),
    Place(
        "spend",
        "t.generation_id = g.id",
        "prompt = '', prompt_hash = '', error_facts = null",
        "t.prompt = '' and t.prompt_hash = '' and t.error_facts is null",
    ),
    Place("event", "t.generation_id = g.id", "data = '{}'", "t.data = '{}'"),
    Place(
        "asset",
        "t.generation_id = g.id",
        "prompt_hash = null, sha256 = '', "
        # The end of a key is the beginning of the picture's hash. Whose object may still be there keeps its key.
        "key = case when t.state = 'deleted' then regexp_replace(t.key, '[^/]*$', t.id::text) else t.key end",
        "t.prompt_hash is null and t.sha256 = '' and t.state = 'deleted' and t.key like '%/' || t.id::text",
    ),
    Place(
        "quote",
        "t.generation_id = g.id",
        "request_hash = '', details = '{}'",
        "t.request_hash = '' and t.details = '{}'",
    ),
)
# Before every id.
FIRST: Final = UUID(int=0)
_FOUND: Final = " or ".join(
    f"exists (select from {place.table} t where {place.belongs} and not ({place.is_clean}))" for place in PLACES
)
# Who is live writes more words: first it has to end.
_UNFINISHED: Final = text(
    f"""
    select g.id, g.tenant_id from generation g
    where g.erasure_id = :erasure_id and g.id > :after and g.status not in ('queued', 'running') and ({_FOUND})
    order by g.id limit :at_most
    """  # noqa: S608 our own words
)
_COUNT: Final = " union all ".join(
    f"select '{place.table}' as name, count(*) as rows from {place.table} t, generation g "  # noqa: S608 our own words
    f"where g.erasure_id = :erasure_id and {place.belongs}"
    for place in PLACES
)


@dataclass(frozen=True, slots=True)
class Tally:
    """What an erasure came to: `pictures` are those that people knew of, `objects` all files, `rows` all that held words."""

    generations: int
    pictures: int
    objects: int
    rows: int


async def live(session: AsyncSession, erasure_id: UUID) -> int:
    """How many generations of an erasure have not ended yet."""
    query = select(Generation.id).where(Generation.erasure_id == erasure_id, col(Generation.status).in_(LIVE))
    return len((await session.exec(query)).all())


async def unfinished(
    session: AsyncSession, erasure_id: UUID, *, after: UUID = FIRST, limit: int
) -> Sequence[tuple[UUID, UUID]]:
    """Generations of an erasure that have ended and still have words or pictures, behind `after`: (id, tenant's id)."""
    connection = await session.connection()
    values = {"erasure_id": erasure_id, "after": after, "at_most": limit}
    return [(row.id, row.tenant_id) for row in (await connection.execute(_UNFINISHED, values)).all()]


async def take_uploads(session: AsyncSession, generation_id: UUID) -> None:
    """Make the uploads that it starts from its own, so that they go with it; those that others start from, too, stay."""
    generation = await session.get_one(Generation, generation_id, with_for_update=True)
    for name in sorted(_named(generation.request)):
        query = select(Asset).where(
            Asset.id == UUID(name),
            Asset.tenant_id == generation.tenant_id,
            Asset.role == AssetRole.input,
            col(Asset.generation_id).is_(None),
            Asset.state != AssetState.deleted,
        )
        upload = (await session.exec(query.with_for_update())).first()
        if upload is not None and not await _others_start_from(session, generation, name):
            upload.generation_id = generation.id
            session.add(upload)


async def redact(session: AsyncSession, generation_id: UUID) -> None:
    """Take the words out of all rows of a generation, and forget the calls in OpenAI's form that led to it."""
    connection = await session.connection()
    here = {"generation_id": generation_id}
    # Its row before all others, as whoever writes to it does.
    await connection.execute(text("select from generation where id = :generation_id for update"), here)
    calls = (
        "delete from compatible_call c using generation g where g.id = :generation_id "
        "and c.tenant_id = g.tenant_id and c.idempotency_key = g.idempotency_key"
    )
    await connection.execute(text(calls), here)
    for place in PLACES:
        belongs = f"from generation g where g.id = :generation_id and {place.belongs}"
        await connection.execute(text(f"update {place.table} t set {place.redacted} {belongs}"), here)  # noqa: S608 our own words


async def redact_asset(session: AsyncSession, asset_id: UUID) -> None:
    """Take the hashes out of the row of a picture whose generation was erased before it: a late attempt had put it there."""
    (place,) = (place for place in PLACES if place.table == "asset")
    connection = await session.connection()
    await connection.execute(
        text(f"update asset t set {place.redacted} where t.id = :asset_id"),  # noqa: S608 our own words
        {"asset_id": asset_id},
    )


async def places_in_store(session: AsyncSession, erasure_id: UUID) -> Sequence[str]:
    """What the keys of all objects of an erasure begin with: a folder for each generation, and for each upload."""
    theirs = (await session.exec(select(Generation).where(Generation.erasure_id == erasure_id))).all()
    folders = {f"{row.tenant_id}/{row.id}/" for row in theirs}
    owned = select(Asset.key).join(Generation, col(Generation.id) == col(Asset.generation_id))
    keys = (await session.exec(owned.where(Generation.erasure_id == erasure_id))).all()
    return sorted(folders | {f"{key.rpartition('/')[0]}/" for key in keys})


async def tally(session: AsyncSession, erasure_id: UUID) -> Tally:
    """What there is to tell of an erasure that is carried out."""
    connection = await session.connection()
    rows = {row.name: row.rows for row in await connection.execute(text(_COUNT), {"erasure_id": erasure_id})}
    removed = select(Asset.role).join(Generation, col(Generation.id) == col(Asset.generation_id))
    roles = (await session.exec(removed.where(Generation.erasure_id == erasure_id))).all()
    return Tally(
        generations=rows["generation"],
        pictures=sum(role in {AssetRole.picture, AssetRole.input} for role in roles),
        objects=len(roles),
        rows=sum(rows.values()),
    )


def _named(request: Mapping[str, Any]) -> set[str]:
    """The pictures that a request names. By its fields, not by its contract: whatever is stored must be erasable."""
    fields = (request.get("avatar_asset_id"), request.get("image_asset_id"), *(request.get("image_asset_ids") or ()))
    return {str(name) for name in fields if name}


async def _others_start_from(session: AsyncSession, generation: Generation, name: str) -> bool:
    """Whether a generation that stays names the picture, too. By the tenant's rows: nobody is in a hurry here."""
    connection = await session.connection()
    found = await connection.execute(
        text(
            """
            select exists (
                select from generation o
                where o.tenant_id = :tenant_id and o.erasure_id is distinct from :erasure_id and o.deleted_at is null
                and (o.request ->> 'avatar_asset_id' = :name or o.request ->> 'image_asset_id' = :name
                     or o.request -> 'image_asset_ids' @> jsonb_build_array(cast(:name as text)))
            )
            """
        ),
        {"tenant_id": generation.tenant_id, "erasure_id": generation.erasure_id, "name": name},
    )
    return bool(found.scalar_one())
