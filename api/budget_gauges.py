"""Figures of budgets for Prometheus: read from PostgreSQL at each scrape, the same in every API process."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from db import budget_overview
from db.budget_overview import BudgetsNow
from db.engine import Database
from errors import DatabaseUnavailable

LABELS: Final = ["budget", "of", "owner", "period", "hard"]
PATIENCE_S: Final = 3.0

log = structlog.get_logger(__name__)


class BudgetGauges(Collector):
    """How much of the service's and the providers' budgets is used, and how many of the others are nearly used up.

    Without PostgreSQL there are no figures: old ones would be taken for new.
    """

    def __init__(self, *, database: Database, registry: CollectorRegistry) -> None:
        self._database = database
        self._registry = registry
        self._known: BudgetsNow | None = None

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Be among the figures of the registry while the block runs."""
        self._registry.register(self)
        try:
            yield self
        finally:
            self._registry.unregister(self)

    async def refresh(self) -> None:
        """Read anew what `collect` gives."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._database.transaction() as session:
                self._known = await budget_overview.read(session)
        except (DatabaseUnavailable, TimeoutError):
            log.warning("budget_figures.postponed")
            self._known = None

    def collect(self) -> Iterator[Metric]:
        """The gauges, as they were at the last `refresh`."""
        if self._known is None:
            return
        yield _used(self._known)
        yield _reached(self._known)


def _used(known: BudgetsNow) -> Metric:
    family = GaugeMetricFamily(
        "diorama_budget_used_ratio",
        "Promised and spent in the running period, of the limit: budgets of the system and of providers.",
        labels=LABELS,
    )
    for one in known.named:
        budget = one.budget
        labels = [str(budget.id), budget.of.value, budget.owner, budget.period.value, str(budget.hard).lower()]
        family.add_metric(labels, one.share)
    return family


def _reached(known: BudgetsNow) -> Metric:
    family = GaugeMetricFamily(
        "diorama_budgets_reached",
        "Budgets of which so many percent were reached in the running period.",
        labels=["of", "percent"],
    )
    for (of, percent), count in known.reached.items():
        family.add_metric([of.value, str(percent)], count)
    return family
