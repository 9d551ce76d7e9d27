"""Telling what a request will cost before it runs, and standing by it for a while."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Self
from uuid import UUID

from pydantic import Field

from api.given_pictures import check_given_pictures
from api.model_warnings import ModelWarning
from api.quotes import Quoter
from api.request_hash import request_hash
from contracts.budgets import BudgetOf, Period
from contracts.frozen import Frozen
from contracts.quotes import Quote, QuotedPicture
from contracts.requests import AnyRequest, AvatarSceneRequest, SceneRequest
from contracts.statuses import Kind
from db import budget_figures, quotes
from db.budget_figures import BudgetState
from db.columns import now
from db.engine import Database
from db.keys import Caller
from db.money_models import QuoteOffer
from prompts.themes import Themes

# Long enough to ask somebody, short enough that prices rarely change meanwhile.
VALID_FOR: Final = timedelta(minutes=15)


class BudgetRoom(Frozen):
    """A hard budget that the request would count against."""

    of: BudgetOf
    period: Period
    left_usd: Decimal | None = Field(description="What may still be promised; null where only operators may know.")
    fits: bool = Field(description="The quote's max_usd has room in it.")
    resets_at: datetime

    @classmethod
    def of_state(cls, state: BudgetState, wanted_usd: Decimal) -> Self:
        """The room for a request that may cost so much."""
        hidden = state.budget.of is BudgetOf.system
        return cls(
            of=state.budget.of,
            period=state.budget.period,
            left_usd=None if hidden else state.left_usd,
            fits=wanted_usd <= state.left_usd,
            resets_at=state.resets_at,
        )


class QuoteAnswer(Quote):
    """What a request will cost (USD). With `id` as its `quote_id` it costs at most `max_usd`, until `expires_at`."""

    id: UUID
    kind: Kind
    pictures: tuple[QuotedPicture, ...]
    budgets: tuple[BudgetRoom, ...]
    warnings: tuple[ModelWarning, ...] = Field(description="Models of it that will be shut down soon.")
    created_at: datetime
    expires_at: datetime


class QuoteDesk:
    """Where prices are promised. Nothing is bought, and nothing held."""

    def __init__(self, *, database: Database, quoter: Quoter, themes: Themes) -> None:
        self._database = database
        self._quoter = quoter
        self._themes = themes

    async def offer(self, caller: Caller, request: AnyRequest) -> QuoteAnswer:
        """Promise a price for the request. A picture behind a URL is not fetched.

        Raises UnknownTheme, UnknownModel, ModelRetired, UnsupportedSize, UnsupportedParameter, TooExpensive, NotFound (a
        picture that it starts from), ImageTooLarge, DatabaseUnavailable.
        """
        if isinstance(request, SceneRequest | AvatarSceneRequest):
            self._themes.get(request.scene.theme)
        quote, pictures = self._quoter.quote(request), self._quoter.pictures(request)
        offered = _offered(caller, request, quote, pictures)
        async with self._database.transaction("quote.offered") as session:
            await check_given_pictures(session, caller.tenant_id, request, only_look=True)
            await quotes.offer(session, offered)
            states = await budget_figures.rooms(session, tenant_id=caller.tenant_id, key_id=caller.key_id)
        return QuoteAnswer(
            **quote.model_dump(),
            id=offered.id,
            kind=request.kind,
            pictures=pictures,
            budgets=tuple(BudgetRoom.of_state(state, quote.max_usd) for state in states),
            warnings=self._quoter.warnings(request),
            created_at=offered.created_at,
            expires_at=offered.expires_at,
        )


def _offered(caller: Caller, request: AnyRequest, quote: Quote, pictures: tuple[QuotedPicture, ...]) -> QuoteOffer:
    moment = now()
    return QuoteOffer(
        tenant_id=caller.tenant_id,
        request_hash=request_hash(request),
        **quote.model_dump(),
        details={"pictures": [picture.model_dump(mode="json") for picture in pictures]},
        created_at=moment,
        expires_at=moment + VALID_FOR,
    )
