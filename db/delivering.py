"""A delivery's life as the worker writes it: read, tried, ended. Whatever comes too late changes nothing."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select as select_columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import DeliveryState
from contracts.webhooks import AttemptOrder, DeliveryTrouble, DisabledReason
from db import webhook_endpoints
from db.columns import now
from db.models import Event
from db.money_models import Budget, BudgetAlert
from db.webhook_models import Delivery, DeliveryAttempt, WebhookEndpoint
from errors import NotFound


@dataclass(frozen=True, slots=True)
class AlertedBudget:
    """A share of a budget that was reached, and the budget."""

    alert: BudgetAlert
    budget: Budget


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery, where it goes, and what it tells of: an event of a generation, or a budget's alert."""

    delivery: Delivery
    endpoint: WebhookEndpoint
    event: Event | AlertedBudget


@dataclass(frozen=True, slots=True)
class Tried:
    """What one POST came to: the answer's status, or the trouble that it met, or both."""

    status: int | None
    trouble: DeliveryTrouble | None
    took_ms: int
    retry_after_s: float = 0.0


async def read(session: AsyncSession, delivery_id: UUID) -> Parcel:
    """All that an attempt needs. Raises NotFound."""
    of_event = (col(Event.generation_id) == col(Delivery.generation_id)) & (col(Event.seq) == col(Delivery.event_seq))
    query: Any = (
        select_columns(Delivery, WebhookEndpoint, Event, BudgetAlert, Budget)
        .join(WebhookEndpoint, col(WebhookEndpoint.id) == col(Delivery.endpoint_id))
        .outerjoin(Event, of_event)
        .outerjoin(BudgetAlert, col(BudgetAlert.id) == col(Delivery.alert_id))
        .outerjoin(Budget, col(Budget.id) == col(BudgetAlert.budget_id))
        .where(col(Delivery.id) == delivery_id)
    )
    found = (await session.exec(query)).first()
    if found is None:
        raise NotFound("There is no such delivery.")
    delivery, endpoint, event, alert, budget = found
    return Parcel(delivery, endpoint, event or AlertedBudget(alert, budget))


def is_due(delivery: Delivery, order: AttemptOrder) -> bool:
    """Whether this attempt is still to be made: by this run, and not written down already by an attempt that was lost."""
    mine = delivery.state is DeliveryState.pending and delivery.run == order.run
    return mine and delivery.attempts == order.number - 1


async def record(session: AsyncSession, order: AttemptOrder, tried: Tried) -> Delivery:
    """Write down what came of it, and what comes next; returns the delivery as it stands then."""
    delivery = await _locked(session, order.delivery_id)
    if not is_due(delivery, order):
        return delivery
    attempt = DeliveryAttempt(
        delivery_id=delivery.id,
        number=order.number,
        status=tried.status,
        error=tried.trouble,
        took_ms=tried.took_ms,
    )
    session.add(attempt)
    delivery.attempts = order.number
    delivery.last_status = tried.status
    if tried.trouble is None:
        _end(delivery, DeliveryState.delivered, None)
    elif tried.trouble is DeliveryTrouble.gone or order.pause_s is None:
        _end(delivery, DeliveryState.failed, tried.trouble)
        await _disable(session, delivery, tried.trouble)
    else:
        delivery.last_error = tried.trouble
        delivery.next_attempt_at = now() + timedelta(seconds=max(order.pause_s, tried.retry_after_s))
    session.add(delivery)
    return delivery


async def give_up(session: AsyncSession, order: AttemptOrder, why: DeliveryTrouble) -> Delivery:
    """End a delivery without another attempt."""
    delivery = await _locked(session, order.delivery_id)
    if is_due(delivery, order):
        _end(delivery, DeliveryState.failed, why)
        session.add(delivery)
    return delivery


async def _locked(session: AsyncSession, delivery_id: UUID) -> Delivery:
    return (await session.exec(select(Delivery).where(Delivery.id == delivery_id).with_for_update())).one()


def _end(delivery: Delivery, state: DeliveryState, why: DeliveryTrouble | None) -> None:
    delivery.state = state
    delivery.last_error = why
    delivery.next_attempt_at = None
    delivery.ended_at = now()


async def _disable(session: AsyncSession, delivery: Delivery, trouble: DeliveryTrouble) -> None:
    if trouble is DeliveryTrouble.gone:
        await webhook_endpoints.disable(session, delivery.endpoint_id, DisabledReason.gone)
        return
    endpoint = await session.get_one(WebhookEndpoint, delivery.endpoint_id)
    if await webhook_endpoints.has_failed_for_long(session, endpoint):
        await webhook_endpoints.disable(session, endpoint.id, DisabledReason.failing)
