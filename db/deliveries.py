"""Deliveries of events to webhook endpoints, as the transactions that make events, the API and the dispatcher need them."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, func, text, tuple_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from uuid_utils.compat import uuid7

from contracts.names import CHANNEL_DELIVERY
from contracts.statuses import DeliveryState
from contracts.webhooks import MOST_ENDPOINTS, WebhookEvent
from db.columns import now
from db.webhook_models import Delivery, DeliveryAttempt, WebhookEndpoint

# One round trip at a generation's end, and for a tenant without endpoints one look into an index. The ids are made here,
# because their order is the order of making, which only PostgreSQL 18 can do by itself.
ANNOUNCE = text(
    """
    with wanted as (
        select id, tenant_id, row_number() over (order by id) as place
        from webhook_endpoint
        where tenant_id = :tenant_id and disabled_at is null and deleted_at is null
          and (events = '{}' or :event_type = any(events))
    ), made as (
        insert into delivery (
            id, tenant_id, endpoint_id, generation_id, event_seq, event_type, state, run, attempts, created_at
        )
        select fresh.id, tenant_id, wanted.id, :generation_id, :event_seq, :event_type, 'pending', 1, 0, clock_timestamp()
        from wanted join unnest(:ids) with ordinality as fresh (id, place) using (place)
        returning id
    )
    select pg_notify(:channel, cast(:generation_id as text)) from (select from made limit 1) as any_made
    """
).bindparams(
    bindparam("ids", type_=ARRAY(Uuid())),
    bindparam("tenant_id", type_=Uuid()),
    bindparam("generation_id", type_=Uuid()),
)


async def announce(
    session: AsyncSession, *, tenant_id: UUID, generation_id: UUID, event_seq: int, event_type: str
) -> None:
    """Have this event delivered to every endpoint that wants it: in the transaction that makes the event, exactly once each."""
    connection = await session.connection()
    facts = {"tenant_id": tenant_id, "generation_id": generation_id, "event_seq": event_seq, "event_type": event_type}
    ids = [uuid7() for _ in range(MOST_ENDPOINTS)]
    await connection.execute(ANNOUNCE, facts | {"ids": ids, "channel": CHANNEL_DELIVERY})


async def announce_alert(session: AsyncSession, alert_id: UUID, tenant_ids: Collection[UUID]) -> int:
    """Have a budget's alert delivered to every endpoint of these tenants that names it; returns how many that are.

    Not to those that want all events: they were made by whoever may order, and money is told to those who decide about it.
    """
    query = select(WebhookEndpoint).where(
        col(WebhookEndpoint.tenant_id).in_(tenant_ids),
        col(WebhookEndpoint.disabled_at).is_(None),
        col(WebhookEndpoint.deleted_at).is_(None),
        col(WebhookEndpoint.events).contains([WebhookEvent.budget_alert]),
    )
    made = [
        Delivery(
            tenant_id=endpoint.tenant_id,
            endpoint_id=endpoint.id,
            alert_id=alert_id,
            event_type=WebhookEvent.budget_alert,
        )
        for endpoint in (await session.exec(query.order_by(col(WebhookEndpoint.id)))).all()
    ]
    session.add_all(made)
    await session.flush()
    for delivery in made[:1]:
        await _notify(session, delivery)
    return len(made)


async def undispatched(session: AsyncSession, *, limit: int) -> Sequence[Delivery]:
    """Pending deliveries whose workflow has not been started, oldest first."""
    query = select(Delivery).where(col(Delivery.dispatched_at).is_(None), Delivery.state == DeliveryState.pending)
    return (await session.exec(query.order_by(col(Delivery.id)).limit(limit))).all()


async def mark_dispatched(session: AsyncSession, runs: Sequence[tuple[UUID, int]]) -> None:
    """Note that the engine has the workflows of these runs; a delivery that was replayed meanwhile has a further one."""
    these = tuple_(col(Delivery.id), col(Delivery.run)).in_(runs)
    await session.exec(update(Delivery).where(these).values(dispatched_at=now()))


async def page(
    session: AsyncSession, endpoint_id: UUID, *, state: DeliveryState | None, before: UUID | None, limit: int
) -> Sequence[Delivery]:
    """An endpoint's deliveries, newest first, at most `limit` rows."""
    query = select(Delivery).where(Delivery.endpoint_id == endpoint_id)
    if state is not None:
        query = query.where(Delivery.state == state)
    if before is not None:
        query = query.where(col(Delivery.id) < before)
    return (await session.exec(query.order_by(col(Delivery.id).desc()).limit(limit))).all()


async def of_tenant(
    session: AsyncSession, tenant_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Delivery | None:
    """A delivery, if it belongs to the tenant; `lock` keeps others from changing it meanwhile."""
    query = select(Delivery).where(Delivery.id == delivery_id, Delivery.tenant_id == tenant_id)
    return (await session.exec(query.with_for_update() if lock else query)).first()


async def attempts(session: AsyncSession, delivery_id: UUID) -> Sequence[DeliveryAttempt]:
    """What was tried, in order."""
    query = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery_id)
    return (await session.exec(query.order_by(col(DeliveryAttempt.number)))).all()


async def replay(session: AsyncSession, delivery: Delivery) -> None:
    """Have it delivered once more, by a run of its own; harmless while it is pending. The row must be locked."""
    if delivery.state is DeliveryState.pending:
        return
    delivery.state = DeliveryState.pending
    delivery.run += 1
    delivery.dispatched_at = delivery.ended_at = delivery.next_attempt_at = None
    session.add(delivery)
    await _notify(session, delivery)


async def _notify(session: AsyncSession, delivery: Delivery) -> None:
    await session.exec(select(func.pg_notify(CHANNEL_DELIVERY, str(delivery.generation_id or delivery.alert_id))))


async def rerun(session: AsyncSession, delivery: Delivery) -> bool:
    """Have a pending delivery go on by a further run, because its run was ended from outside. False when it has moved."""
    here = [
        col(Delivery.id) == delivery.id,
        col(Delivery.run) == delivery.run,
        col(Delivery.state) == DeliveryState.pending,
    ]
    values = {"run": Delivery.run + 1, "dispatched_at": None, "next_attempt_at": None}
    moved = await session.exec(update(Delivery).where(*here).values(**values).returning(col(Delivery.id)))
    if moved.scalar_one_or_none() is None:
        return False
    await _notify(session, delivery)
    return True
