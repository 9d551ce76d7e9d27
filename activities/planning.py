"""Who is asked for the pictures of a generation, in which order: the catalog says who can, standings say who can now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

from activities.standing_board import StandingBoard
from contracts.pictures import Candidate
from contracts.requests import AnyRequest, PlannedPicture
from contracts.standing import Standings
from db.columns import now
from errors import LanePaused
from providers.catalog import Catalog
from providers.choosing import Circumstances, Option, in_order
from providers.wish import Wish

Options = Mapping[Option, Candidate]


class Planner:
    """Orders candidates; without a board all are taken to stand well."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        configured: frozenset[str],
        review_above_usd: Decimal,
        board: StandingBoard | None = None,
    ) -> None:
        self._catalog = catalog
        self._configured = configured
        self._review_above_usd = review_above_usd
        self._board = board
        self._able = lru_cache(maxsize=256)(self._ask_catalog)  # few combinations, asked for by every generation

    async def standings(self) -> Standings:
        """How all stand now. To be asked outside of transactions: it may need a connection of its own."""
        return Standings() if self._board is None else await self._board.standings()

    def plan(
        self, generation_id: UUID, request: AnyRequest, pictures: Sequence[PlannedPicture], standings: Standings
    ) -> tuple[tuple[Candidate, ...], ...]:
        """For each picture the candidates in order, never empty.

        Raises what Catalog.plan raises, and LanePaused when nothing new may be planned for any of them.
        """
        given = _circumstances(generation_id, request)
        able = self._able(tuple(pictures), Wish.of(request, datetime.now(UTC).date()))
        ordered = [_in_order(options, standings, given) for options in able]
        if not all(ordered):
            raise LanePaused("The image provider is being drained: nothing new is planned for it.")
        return tuple(ordered)

    def ordered(
        self,
        generation_id: UUID,
        request: AnyRequest,
        candidates: Sequence[Candidate],
        standings: Standings,
        *,
        failed_providers: frozenset[str] = frozenset(),
    ) -> tuple[Candidate, ...]:
        """The candidates in the order in which they are to be asked now; without those that can be asked no more.

        The plan may be older than this worker's catalog, and than its keys.
        """
        given = replace(_circumstances(generation_id, request), failed_providers=failed_providers)
        known = [
            one for one in candidates if one.provider in self._configured and self._catalog.has(one.provider, one.model)
        ]
        return _in_order(self._options(known), standings, given)

    def _ask_catalog(self, pictures: tuple[PlannedPicture, ...], wish: Wish) -> tuple[Options, ...]:
        able = self._catalog.plan(pictures, wish, configured=self._configured, review_above_usd=self._review_above_usd)
        return tuple(self._options(candidates) for candidates in able)

    def _options(self, candidates: Sequence[Candidate]) -> Options:
        return {self._catalog.option(position, one): one for position, one in enumerate(candidates)}


def _circumstances(generation_id: UUID, request: AnyRequest) -> Circumstances:
    return Circumstances(
        generation_id=generation_id, deadline_s=request.deadline_s, at=now(), strategy=request.strategy
    )


def _in_order(options: Options, standings: Standings, given: Circumstances) -> tuple[Candidate, ...]:
    return tuple(options[one] for one in in_order(tuple(options), standings, given))
