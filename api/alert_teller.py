"""Telling of budgets' alerts: woken when the database writes one, and every few seconds in any case."""

import asyncio
import random
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

import structlog

from background import in_background
from contracts.names import CHANNEL_BUDGET
from db import budget_alerts
from db.delivering import AlertedBudget
from db.engine import Database
from db.listener import Listener
from errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

EVERY_S: Final = 10.0
LIMIT: Final = 50


class AlertTeller:
    """Makes the deliveries of alerts, whichever process wrote them; beside others that do the same, each is told once."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener

    def running(self) -> AbstractAsyncContextManager[None]:
        """Look and tell until the block ends."""
        return in_background(self._look_forever(), name="alert-teller")

    async def _look_forever(self) -> None:
        with self._listener.subscribe(CHANNEL_BUDGET) as woken:
            while True:
                woken.clear()
                try:
                    while await self.tell() == LIMIT:
                        pass
                except DatabaseUnavailable:
                    log.warning("alerts.postponed")
                except Exception:
                    log.exception("alerts.broken")
                with suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S * random.uniform(0.8, 1.2)):
                        await woken.wait()

    async def tell(self) -> int:
        """Tell of what is there to be told, up to LIMIT; returns of how many. Raises DatabaseUnavailable."""
        async with self._database.statement() as session:
            if not await budget_alerts.untold(session):
                return 0
        async with self._database.transaction("alert.told") as session:
            told = await budget_alerts.tell(session, limit=LIMIT)
        for one in told:
            _log(one)
        return len(told)


def _log(told: AlertedBudget) -> None:
    alert, budget = told.alert, told.budget
    facts = {"of": budget.of.value, "owner": budget.owner, "period": budget.period.value, "hard": budget.hard}
    money = {"used_usd": str(alert.used_usd), "limit_usd": str(budget.limit_usd)}
    log.warning("budget.alert", budget=str(budget.id), percent=alert.percent, **facts, **money)
