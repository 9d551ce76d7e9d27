"""Accepting a request: the commit of its row is the promise; starting its workflow comes after and may fail."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
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
from api.moderating import NOTHING_TO_NOTE, PromptGuard, Remark
from api.queue_depth import QueueDepth
from api.quotes import Quoter
from api.request_hash import request_hash
from contracts.frozen import Frozen
from contracts.given_pictures import given_pictures
from contracts.quotes import Quote
from contracts.requests import AnyRequest, AvatarSceneRequest, SceneRequest
from contracts.statuses import Kind, Status
from db import events, generations, input_assets, quotas, quotes
from db.columns import new_id, now
from db.engine import Database
from db.keys import Caller
from db.models import Generation
from engine.starts import GenerationStart
from errors import IdempotencyKeyReused, ModerationUnavailable, RequestError
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

    @property
    def most_usd(self) -> Decimal:
        """The price that was promised (USD)."""
        return Decimal(self.body["quote"]["max_usd"])


@dataclass(frozen=True, slots=True)
class _Demand:
    """A request on the desk: whose, what, under which key, and its hash."""

    caller: Caller
    request: AnyRequest
    key: str | None
    hash: str
    remark: Remark = NOTHING_TO_NOTE


class _KeyTaken(Exception):
    """Another request with the same Idempotency-Key was accepted in this very moment."""


# What a request may meet although it was accepted before, sent with the same Idempotency-Key: then that answer counts. Nobody
# looks for it first, since nearly all requests are new ones.
OVERTAKEN = (_KeyTaken, RequestError, ModerationUnavailable)


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
        prompt_guard: PromptGuard,
    ) -> None:
        self._database = database
        self._quoter = quoter
        self._themes = themes
        self._input_pictures = input_pictures
        self._queue_depth = queue_depth
        self._dispatcher = dispatcher
        self._prompt_guard = prompt_guard

    async def accept(
        self, caller: Caller, request: AnyRequest, key: str | None, *, hash_: str | None = None
    ) -> Acceptance:
        """Accept a request, or repeat the answer that this Idempotency-Key had.

        `hash_` tells requests with the same key apart; None: the request's own.

        Raises IdempotencyKeyReused, UnknownTheme, UnknownModel, ModelRetired, UnsupportedSize, UnsupportedParameter,
        TooExpensive, NotFound (its quote, or a picture that it starts from), QuoteUsed, QuoteMismatch, QuoteExpired,
        BudgetExhausted, QueueFull, DailyQuotaExhausted, PromptRefused, ModerationUnavailable, ImageRejected and its kin,
        DatabaseUnavailable, StorageUnavailable;
        then nothing is left of the request.
        """
        demand = _Demand(caller, request, key, hash_ or request_hash(request))
        accept = self._accept
        if isinstance(request, SceneRequest) and request.image_url is not None:
            accept = partial(self._accept_with_picture, url=request.image_url)
        try:
            accepted = await self._known_at_once(demand)
            if accepted is None:
                remark = await self._prompt_guard.look(request, caller.tenant.policy)
                accepted = await accept(replace(demand, remark=remark))
        except OVERTAKEN as overtaken:
            accepted = await self._winner(demand, overtaken)
        if isinstance(accepted, Acceptance):
            return accepted
        self._queue_depth.accepted()
        self._dispatcher.start_soon(GenerationStart.of(accepted, weight=caller.tenant.allowance.weight))
        return Acceptance(accepted.id, accepted.acceptance, replayed=False)

    async def accepted_before(self, caller: Caller, key: str, hash_: str) -> Acceptance | None:
        """What was accepted with this key and hash. Raises IdempotencyKeyReused (with another hash), DatabaseUnavailable."""
        async with self._database.transaction() as session:
            return await self._repeated(session, caller, key, hash_)

    async def _known_at_once(self, demand: _Demand) -> Generation | Acceptance | None:
        """Nobody outside is asked about the words of a repetition, nor of what cannot be accepted anyhow."""
        caller = demand.caller
        if not self._prompt_guard.asks_others(caller.tenant.policy):
            return None
        async with self._database.transaction() as session:
            known = await self._known(session, demand)
            if known is None:
                await quotas.look(session, caller.tenant_id, caller.tenant.allowance, now())
        return known

    async def _accept(self, demand: _Demand) -> Generation | Acceptance:
        ahead = await self._queue_depth.ahead()
        async with self._accepting(demand) as session:
            generation = await self._draft(session, demand, ahead)
            await check_given_pictures(session, demand.caller.tenant_id, demand.request)
            await self._insert(session, demand, generation)
        return generation

    def _accepting(self, demand: _Demand) -> AbstractAsyncContextManager[AsyncSession]:
        """What commits by itself needs none of a transaction's further round trips."""
        if _is_one_statement(demand):
            return self._database.statement("generation.accept")
        return self._database.transaction("generation.accept")

    async def _accept_with_picture(self, demand: _Demand, *, url: str) -> Generation | Acceptance:
        """The picture is fetched and stored between two transactions: nothing waits inside one."""
        caller, ahead = demand.caller, await self._queue_depth.ahead()
        async with self._database.transaction() as session:
            if known := await self._known(session, demand):
                return known
            generation = await self._draft(session, demand, ahead)
            # nothing is fetched for what cannot be accepted
            await quotas.look(session, caller.tenant_id, caller.tenant.allowance, now())
        picture = await self._input_pictures.fetch(url)
        kept = self._input_pictures.stored(picture, tenant_id=generation.tenant_id, generation_id=generation.id)
        async with kept as asset, self._database.transaction("generation.accept_with_picture") as session:
            generation.input_asset_id = asset.id
            await self._insert(session, demand, generation)
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

    async def _winner(self, demand: _Demand, overtaken: Exception) -> Acceptance:
        """The same request, which was accepted in this very moment. Raises what it was `overtaken` by, if there is none."""
        if demand.key is None or isinstance(overtaken, IdempotencyKeyReused):
            raise overtaken
        async with self._database.statement() as session:
            known = await self._known(session, demand)
        if known is None:
            raise overtaken
        return known

    async def _insert(self, session: AsyncSession, demand: _Demand, generation: Generation) -> None:
        """The insert itself counts what the tenant may have, and holds the money against all budgets (migration 0004)."""
        if not await generations.accept(session, generation, demand.caller.tenant.allowance):
            raise _KeyTaken
        for kind, data in demand.remark.events():
            await events.append(session, generation.id, kind, data)
        if demand.request.quote_id is not None:
            await quotes.use(session, demand.request.quote_id, generation.id)

    async def _draft(self, session: AsyncSession, demand: _Demand, ahead: int) -> Generation:
        """The row that will be the promise, with the answer that every repetition will get."""
        request = demand.request
        if isinstance(request, SceneRequest | AvatarSceneRequest):
            self._themes.get(request.scene.theme)
        quote = await self._promise(session, demand)
        id_, created_at = new_id(), now()
        answer = AcceptedAnswer(
            id=id_,
            kind=request.kind,
            status=Status.queued,
            links=GenerationLinks.of(id_),
            quote=quote,
            queue_position=ahead,
            created_at=created_at,
            warnings=self._quoter.warnings(request),
        )
        return Generation(
            id=id_,
            tenant_id=demand.caller.tenant_id,
            key_id=demand.caller.key_id,
            kind=request.kind,
            request=request.model_dump(mode="json"),
            session_id=request.session_id,
            user_id=request.user_id,
            tags=list(request.tags),
            idempotency_key=demand.key,
            request_hash=demand.hash,
            acceptance=answer.model_dump(mode="json", by_alias=True),
            quote_max_usd=quote.max_usd,
            hold_usd=quote.max_usd,
            created_at=created_at,
        )

    async def _promise(self, session: AsyncSession, demand: _Demand) -> Quote:
        """What the request will cost: by its quote if it has one, as long as today's prices have room in that."""
        request = demand.request
        if request.quote_id is None:
            return self._quoter.quote(request)
        offered = await quotes.valid(
            session, request.quote_id, tenant_id=demand.caller.tenant_id, request_hash=demand.hash
        )
        self._quoter.quote(request.within(offered.max_usd))
        return Quote(min_usd=offered.min_usd, expected_usd=offered.expected_usd, max_usd=offered.max_usd)


def _is_one_statement(demand: _Demand) -> bool:
    """Whether nothing but the row is read or written."""
    has_more = demand.request.quote_id is not None or demand.remark.events() or given_pictures(demand.request)
    return not has_more
