"""Figures of providers and models for Prometheus: read from PostgreSQL at each scrape, the same in every API process."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.standing_view import ProvidersNow, StandingView
from contracts.standing import BreakerState, LaneMode, Standing
from db import breakers, lanes
from db.columns import now
from db.engine import Database
from errors import DatabaseUnavailable

LANE: Final = ["provider", "model"]
# Events get their times before their commits: one that is younger may yet be joined by an older one.
SETTLED_AFTER: Final = timedelta(seconds=2)
PATIENCE_S: Final = 3.0

log = structlog.get_logger(__name__)


class ProviderFigures(Collector):
    """How the lanes of this installation stand, and a counter of what happened to them since this process started.

    `lanes_here`: (provider, model) of each lane to show, also when nothing is known of it; an empty model is a provider.
    Without PostgreSQL there are no figures: old ones would be taken for new.
    """

    def __init__(
        self,
        *,
        database: Database,
        view: StandingView,
        lanes_here: Sequence[tuple[str, str]],
        registry: CollectorRegistry,
    ) -> None:
        self._database = database
        self._view = view
        self._registry = registry
        self._lanes_here = tuple(lanes_here)
        self._known: ProvidersNow | None = None
        self._counting = asyncio.Lock()
        self._counted_to: datetime = now()
        self._events = Counter(
            "diorama_provider_events",
            "Breakers that changed and decisions of operators, over the whole fleet, since this process started.",
            ["type", *LANE],
            registry=registry,
        )

        for kind in breakers.EVENT.values():  # an alarm compares with before: so there must be something before
            for lane in self._lanes_here:
                self._events.labels(kind, *lane)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Be among the figures of the registry while the block runs."""
        self._registry.register(self)
        try:
            yield
        finally:
            self._registry.unregister(self)

    async def refresh(self) -> None:
        """Read anew what `collect` gives."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._known = await self._view.now()
                await self._count_events()
        except (DatabaseUnavailable, TimeoutError) as error:
            log.warning("figures.not_read", error=type(error).__name__)
            self._known = None

    async def _count_events(self) -> None:
        async with self._counting:
            until = now() - SETTLED_AFTER
            if until <= self._counted_to:
                return
            async with self._database.transaction() as session:
                found = await lanes.count_events(session, since=self._counted_to, until=until)
            self._counted_to = until
        for (kind, provider, model), count in found.items():
            self._events.labels(kind, provider, model).inc(count)

    def collect(self) -> Iterator[Metric]:
        """The gauges, as they were at the last `refresh`."""
        if self._known is None:
            return
        standings = [self._known.standings.of(*lane) for lane in self._lanes_here]
        yield _states(
            "diorama_breaker_state", "1 for the state that the lane's breaker is in.", BreakerState, standings
        )
        yield _states("diorama_lane_mode", "1 for the mode that operators put the lane in.", LaneMode, standings)
        yield from _measured(standings)
        yield _live(self._known, self._lanes_here)
        yield GaugeMetricFamily(
            "diorama_generations_ahead",
            "Generations that wait for their next purchase.",
            value=self._known.queues.generations_ahead,
        )


def _states(name: str, words: str, states: type[StrEnum], standings: Sequence[Standing]) -> Metric:
    label = "state" if states is BreakerState else "mode"
    family = GaugeMetricFamily(name, words, labels=[*LANE, label])
    for one in standings:
        current = one.breaker if states is BreakerState else one.mode
        for state in states:
            family.add_metric([one.provider, one.model, state.value], float(state is current))
    return family


def _measured(standings: Sequence[Standing]) -> Iterator[Metric]:
    ratio = GaugeMetricFamily("diorama_lane_success_ratio", "Of the purchases of the last five minutes.", labels=LANE)
    took = GaugeMetricFamily(
        "diorama_lane_picture_seconds", "From the purchase to the picture, lately.", labels=[*LANE, "quantile"]
    )
    busy = GaugeMetricFamily(
        "diorama_lane_busy_answers", "How often it asked us to come later, in the last five minutes.", labels=LANE
    )
    limit = GaugeMetricFamily("diorama_lane_limit_per_minute", "What operators limited the lane to.", labels=LANE)
    for one in standings:
        lane, traffic = [one.provider, one.model], one.traffic
        busy.add_metric(lane, traffic.busy)
        if traffic.success_rate is not None:
            ratio.add_metric(lane, traffic.success_rate)
        for quantile, seconds in (("0.5", traffic.p50_s), ("0.9", traffic.p90_s)):
            if seconds is not None:
                took.add_metric([*lane, quantile], seconds)
        if one.creates_per_minute is not None:
            limit.add_metric(lane, one.creates_per_minute)
    yield from (ratio, took, busy, limit)


def _live(known: ProvidersNow, lanes_here: Sequence[tuple[str, str]]) -> Metric:
    family = GaugeMetricFamily("diorama_purchases_live", "Purchases under way.", labels=[*LANE, "state"])
    for provider, model in lanes_here:
        if model:  # those of a provider are the sum of its models'
            live = known.queues.of_model(provider, model)
            family.add_metric([provider, model, "held"], live.held)
            family.add_metric([provider, model, "at_provider"], live.sent)
    return family
