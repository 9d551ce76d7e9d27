"""`generation.replan`: after a candidate failed, who is asked next, as all stand now; and the event that tells of it."""

from prometheus_client import CollectorRegistry, Counter
from temporalio import activity

from activities.evidence import fault_of
from activities.failures import told_to_temporal
from activities.observation import named
from activities.ordering import parse_request
from activities.planning import Planner
from contracts.names import ACTIVITY_REPLAN
from contracts.pictures import Candidate
from contracts.replanning import Replanned, ReplanOrder
from db import failovers, lives
from db.engine import Database
from errors import CircuitOpen, LanePaused, ProviderBusy, error_class


class FailoverMetrics:
    """Counters of one worker process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        words = ["provider", "model", "to_provider", "code"]
        self.failovers = Counter(
            "diorama_failovers", "Pictures that went on to another candidate", words, registry=registry
        )


class ReplanActivities:
    """Decides anew; a local activity of one short transaction. Holds dependencies only."""

    def __init__(self, *, database: Database, planner: Planner, metrics: FailoverMetrics) -> None:
        self._database = database
        self._planner = planner
        self._metrics = metrics

    @activity.defn(name=ACTIVITY_REPLAN)
    async def replan(self, order: ReplanOrder) -> Replanned:
        """The rest of the plan without those whose purchases failed, in the order that is right now."""
        with named(order.generation_id, step=order.step), told_to_temporal():
            standings = await self._planner.standings()
            async with self._database.transaction("picture.failover") as session:
                generation = await lives.read(session, order.generation_id)
                failed = await failovers.failed_models(session, order.generation_id, order.step)
                rest = [one for one in order.rest if (one.provider, one.model) not in failed]
                request = parse_request(generation.request)
                ordered = self._planner.ordered(
                    order.generation_id, request, rest, standings, failed_providers=_failed_as_a_whole(order)
                )
                is_new = bool(ordered) and await failovers.record(session, order, ordered[0])
            if is_new:
                self._count(order, ordered[0])
        return Replanned(candidates=ordered)

    def _count(self, order: ReplanOrder, chosen: Candidate) -> None:
        left = order.tried[-1]
        self._metrics.failovers.labels(left.provider, left.model, chosen.provider, order.failure.code).inc()


def _failed_as_a_whole(order: ReplanOrder) -> frozenset[str]:
    """The provider of the last candidate, when its other models would fail of the same."""
    left = order.tried[-1]
    failure = error_class(order.failure.code)()
    if isinstance(failure, CircuitOpen | LanePaused | ProviderBusy):  # the standings know which part of it
        return frozenset()
    fault = fault_of(failure, left.provider, left.model)
    return frozenset({left.provider}) if fault is not None and not fault.model else frozenset()
