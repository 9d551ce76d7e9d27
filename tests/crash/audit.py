"""The audit: every promise, held against everything that can be known."""

from collections.abc import Iterator, Mapping

from contracts.statuses import DeliveryState
from db.events import REOPENED
from tests.crash.audit_lives import audit_lives
from tests.crash.audit_money import audit_money, bill_of
from tests.crash.audit_objects import audit_objects
from tests.crash.breach import Breach
from tests.crash.evidence import Evidence
from tests.crash.follower import LAST_EVENTS
from tests.crash.scenarios import Scenario

TOLD = LAST_EVENTS | {REOPENED}


def audit(evidence: Evidence, scenarios: Mapping[str, Scenario], *, outages: bool) -> list[Breach]:
    """All breaches. `outages`: the providers themselves were away at times."""
    return [
        *audit_lives(evidence, scenarios, outages=outages),
        *audit_money(evidence, bill_of(evidence)),
        *audit_objects(evidence),
        *_deliveries(evidence),
    ]


def _deliveries(evidence: Evidence) -> Iterator[Breach]:
    lasting = {endpoint.id: endpoint for endpoint in evidence.endpoints if endpoint.deleted_at is None}
    sent = {(delivery.endpoint_id, delivery.generation_id, delivery.event_seq) for delivery in evidence.deliveries}
    for delivery in evidence.deliveries:
        if delivery.state is DeliveryState.delivered and str(delivery.id) not in evidence.told:
            yield Breach(f"event {delivery.event_seq} is delivered, and nobody took it", delivery.generation_id)
        if delivery.state is not DeliveryState.delivered and delivery.endpoint_id in lasting:
            yield Breach(f"event {delivery.event_seq} is {delivery.state} for its endpoint", delivery.generation_id)
    for endpoint in lasting.values():
        for generation_id, events in evidence.events.items():
            for event in events:
                wanted = event.type in TOLD and not endpoint.events and event.created_at > endpoint.created_at
                if wanted and (endpoint.id, generation_id, event.seq) not in sent:
                    yield Breach(f"event {event.seq} {event.type} was never to be delivered", generation_id)
