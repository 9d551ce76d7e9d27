"""Ask, for free, whether a provider whose breaker is open can be used again. One process of the fleet does at a time."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog

from activities.standing_board import StandingBoard
from background import in_background
from contracts.standing import BreakerState
from db import breakers
from db.engine import Database
from errors import DatabaseUnavailable, ProviderError
from providers.base import ImageProvider
from providers.catalog import Catalog

LOOK_EVERY_S: Final = 1.0
# A probe is a small read; one that takes longer has failed. Less than the lease of db.breakers.
LONGEST_PROBE_S: Final = 10.0

log = structlog.get_logger(__name__)


class Prober:
    """Probes what is due among the providers of this worker, and among the models of its catalog.

    A model that only a newer release knows is left to that one. Without a catalog all are probed.
    """

    def __init__(
        self,
        database: Database,
        board: StandingBoard,
        providers: Mapping[str, ImageProvider],
        *,
        catalog: Catalog | None = None,
    ) -> None:
        self._database = database
        self._board = board
        self._providers = providers
        self._catalog = catalog

    def probing(self) -> AbstractAsyncContextManager[None]:
        """Look for what is due while the block runs."""
        return in_background(self._probe_again_and_again(), name="prober")

    async def probe_what_is_due(self) -> None:
        """Claim the open breakers whose pause is over, and probe them side by side. Raises DatabaseUnavailable."""
        standings = await self._board.standings()
        if not any(row.breaker is BreakerState.open for row in standings.rows):
            return
        async with self._database.transaction("standing.changed") as session:
            claimed = await breakers.claim_probes(session, self._providers.keys(), known=self._is_known)
        probes = (self._probe(provider, model) for provider, model in claimed)
        # All to their end, whatever one of them meets: an outcome that is not written costs the lease's time.
        for outcome in await asyncio.gather(*probes, return_exceptions=True):
            if outcome is not None:
                raise outcome

    def _is_known(self, key: tuple[str, str]) -> bool:
        provider, model = key
        return self._catalog is None or not model or self._catalog.has(provider, model)

    async def _probe(self, provider: str, model: str) -> None:
        well = await self._answers(provider, model)
        async with self._database.transaction("standing.changed") as session:
            await breakers.record_probe(session, (provider, model), well=well)
        log.info("standing.probed", provider=provider, model=model, well=well)

    async def _answers(self, provider: str, model: str) -> bool:
        try:
            async with asyncio.timeout(LONGEST_PROBE_S):
                await self._providers[provider].probe(model or None)
        except (ProviderError, TimeoutError) as error:
            log.info("standing.probe_failed", provider=provider, model=model, error=type(error).__name__)
            return False
        return True

    async def _probe_again_and_again(self) -> None:
        while True:
            try:
                await self.probe_what_is_due()
            except DatabaseUnavailable:
                log.warning("standing.not_probed")
            except Exception:  # or an open breaker would stay open for ever
                log.exception("standing.not_probed")
            await asyncio.sleep(LOOK_EVERY_S)
