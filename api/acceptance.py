"""Accepting a request: the commit of its row is the promise; starting its workflow comes after and may fail."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dispatcher import Dispatcher
from api.given_pictures import check_given_pictures
from api.input_pictures import InputPictures
from api.links import GenerationLinks
from api.model_warnings import ModelWarning
from api.queue_depth import QueueDepth
from api.quotes import Quote, Quoter
from api.request_hash import request_hash
from contracts.frozen import Frozen
from contracts.requests import AnyRequest, AvatarSceneRequest, SceneRequest
from contracts.statuses import Kind, Status
from db import generations, input_assets
from db.engine import Database
from db.keys import Caller
from db.models import Generation
from engine.starts import GenerationStart
from errors import IdempotencyKeyReused
from prompts.themes import Themes


class AcceptedAnswer(Frozen):
    """What a client gets at once; the same for every repetition with the same Idempotency-Key."""

    id: UUID
    kind: Kind
    status: Status
    links: GenerationLinks
    quote: Quote
    queue_position: int = Field(description="Accepted generations ahead of this one; an estimate.", examples=[0])
    created_at: datetime
    warnings: tuple[ModelWarning, ...] = Field(default=(), description="Models of it that will be shut down soon.")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """`body` is an AcceptedAnswer as JSON; `replayed`: it was accepted before with the same key."""

    generation_id: UUID
    body: dict[str, Any]
    replayed: bool


@dataclass(frozen=True, slots=True)
class _Demand:
    """A request on the desk: whose, what, under which key, and its hash."""

    caller: Caller
    request: AnyRequest
    key: str | None
    hash: str


class _KeyTaken(Exception):
    """Another request with the same Idempotency-Key was accepted in this very moment."""


class Desk:
    """Where requests are accepted, or refused without a trace."""

    def __init__(
        self,
        *,
        database: Database,
        quoter: Quoter,
        themes: Themes,
        input_pictures: InputPictures,
        queue_depth: QueueDepth,
        dispatcher: Dispatcher,
    ) -> None:
        self._database = database
        self._quoter = quoter
        self._themes = themes
        self._input_pictures = input_pictures
        self._queue_depth = queue_depth
        self._dispatcher = dispatcher

    async def accept(
        self, caller: Caller, request: AnyRequest, key: str | None, *, hash_: str | None = None
    ) -> Acceptance:
        """Accept a request, or repeat the answer that this Idempotency-Key had.

        `hash_` tells requests with the same key apart; None: the request's own. Raises IdempotencyKeyReused, UnknownTheme, UnknownModel, ModelRetired, UnsupportedSize, UnsupportedParameter,
        TooExpensive, NotFound (a picture that it starts from), ImageRejected and its kin, DatabaseUnavailable,
        StorageUnavailable; then nothing is left of the request.
        """
        demand = _Demand(caller, request, key, hash_ or request_hash(request))
        accept = self._accept
        if isinstance(request, SceneRequest) and request.image_url is not None:
            accept = partial(self._accept_with_picture, url=request.image_url)
        try:
            accepted = await accept(demand)
        except _KeyTaken:
            accepted = await self._winner(demand)
        if isinstance(accepted, Acceptance):
            return accepted
        self._queue_depth.accepted()
        self._dispatcher.start_soon(GenerationStart.of(accepted))
        return Acceptance(accepted.id, accepted.acceptance, replayed=False)

    async def accepted_before(self, caller: Caller, key: str, hash_: str) -> Acceptance | None:
        """What was accepted with this key and hash. Raises IdempotencyKeyReused (with another hash), DatabaseUnavailable."""
        async with self._database.transaction() as session:
            return await self._repeated(session, caller, key, hash_)

    async def _accept(self, demand: _Demand) -> Generation | Acceptance:
        async with self._database.transaction("generation.accept") as session:
            if known := await self._known(session, demand):
                return known
            generation = await self._draft(session, demand)
            await check_given_pictures(session, demand.caller.tenant_id, demand.request)
            await self._insert(session, generation)
        return generation

    async def _accept_with_picture(self, demand: _Demand, *, url: str) -> Generation | Acceptance:
        """The picture is fetched and stored between two transactions: nothing waits inside one."""
        async with self._database.transaction() as session:
            if known := await self._known(session, demand):
                return known
            generation = await self._draft(session, demand)
        picture = await self._input_pictures.fetch(url)
        kept = self._input_pictures.stored(picture, tenant_id=generation.tenant_id, generation_id=generation.id)
        async with kept as asset, self._database.transaction("generation.accept_with_picture") as session:
            generation.input_asset_id = asset.id
            await self._insert(session, generation)
            await input_assets.attach(session, asset.id, generation.id)
        return generation

    async def _known(self, session: AsyncSession, demand: _Demand) -> Acceptance | None:
        if demand.key is None:
            return None
        return await self._repeated(session, demand.caller, demand.key, demand.hash)

    @staticmethod
    async def _repeated(session: AsyncSession, caller: Caller, key: str, hash_: str) -> Acceptance | None:
        before = await generations.by_idempotency_key(session, caller.tenant_id, key)
        if before is None:
            return None
        if before.request_hash != hash_:
            raise IdempotencyKeyReused
        return Acceptance(before.id, before.acceptance, replayed=True)

    async def _winner(self, demand: _Demand) -> Acceptance:
        async with self._database.transaction() as session:
            known = await self._known(session, demand)
        if known is None:
            raise RuntimeError("an insert was refused although no row has its key")
        return known

    async def _insert(self, session: AsyncSession, generation: Generation) -> None:
        if not await generations.accept(session, generation):
            raise _KeyTaken

    async def _draft(self, session: AsyncSession, demand: _Demand) -> Generation:
        """The row that will be the promise, with the answer that every repetition will get."""
        request = demand.request
        if isinstance(request, SceneRequest | AvatarSceneRequest):
            self._themes.get(request.scene.theme)
        quote = self._quoter.quote(request)
        generation = Generation(
            tenant_id=demand.caller.tenant_id,
            kind=request.kind,
            request=request.model_dump(mode="json"),
            session_id=request.session_id,
            tags=list(request.tags),
            idempotency_key=demand.key,
            request_hash=demand.hash,
            quote_max_usd=quote.max_usd,
        )
        answer = AcceptedAnswer(
            id=generation.id,
            kind=generation.kind,
            status=generation.status,
            links=GenerationLinks.of(generation.id),
            quote=quote,
            queue_position=await self._queue_depth.ahead(session),
            created_at=generation.created_at,
            warnings=self._quoter.warnings(request),
        )
        generation.acceptance = answer.model_dump(mode="json", by_alias=True)
        return generation
