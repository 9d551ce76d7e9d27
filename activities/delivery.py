"""`webhook.deliver`: one attempt to deliver one event to one endpoint."""

import structlog
from temporalio import activity

from activities.failures import told_to_temporal
from activities.observation import named
from activities.webhook_message import signed_message
from activities.webhook_post import WebhookPost
from contracts.names import ACTIVITY_DELIVER
from contracts.webhook_secrets import WebhookSecrets
from contracts.webhooks import AttemptOrder, AttemptReport, DeliveryTrouble
from db import delivering
from db.columns import now
from db.delivering import Parcel, Tried
from db.engine import Database
from db.webhook_models import Delivery, WebhookEndpoint

log = structlog.get_logger(__name__)


class DeliveryActivities:
    """Delivers webhooks; holds dependencies only."""

    def __init__(self, *, database: Database, post: WebhookPost, secrets: WebhookSecrets) -> None:
        self._database = database
        self._post = post
        self._secrets = secrets

    @activity.defn(name=ACTIVITY_DELIVER)
    async def deliver(self, order: AttemptOrder) -> AttemptReport:
        """Make the attempt, unless it was made, and write down what came of it.

        A worker that dies between the POST and the commit leaves no trace of the POST: the next attempt makes it once more,
        with the same webhook-id. So receivers get each event at least once.
        """
        # What is not of a generation has a trace of its own.
        trace = order.generation_id or order.delivery_id
        with named(trace, delivery=str(order.delivery_id)), told_to_temporal():
            async with self._database.transaction() as session:
                parcel = await delivering.read(session, order.delivery_id)
            if not delivering.is_due(parcel.delivery, order):
                return _report(parcel.delivery)
            if closed := _closed(parcel.endpoint):
                async with self._database.transaction("delivery.given_up") as session:
                    return _report(await delivering.give_up(session, order, closed))
            tried = await self._send(parcel)
            log.info("webhook.posted", number=order.number, status=tried.status, trouble=tried.trouble)
            async with self._database.transaction("delivery.attempted") as session:
                return _report(await delivering.record(session, order, tried))

    async def _send(self, parcel: Parcel) -> Tried:
        moment, endpoint = now(), parcel.endpoint
        secrets = self._secrets.valid_at(moment, endpoint.id, endpoint.secret_version, endpoint.previous_secret_until)
        return await self._post.send(endpoint.url, signed_message(parcel, secrets, moment))


def _closed(endpoint: WebhookEndpoint) -> DeliveryTrouble | None:
    if endpoint.deleted_at is not None:
        return DeliveryTrouble.endpoint_deleted
    return DeliveryTrouble.endpoint_disabled if endpoint.disabled_at is not None else None


def _report(delivery: Delivery) -> AttemptReport:
    left_s = (delivery.next_attempt_at - now()).total_seconds() if delivery.next_attempt_at else 0.0
    trouble = DeliveryTrouble(delivery.last_error) if delivery.last_error else None
    return AttemptReport(
        state=delivery.state, status=delivery.last_status, trouble=trouble, pause_s=max(0.0, round(left_s, 3))
    )
