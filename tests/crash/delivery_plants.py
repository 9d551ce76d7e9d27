"""Scenarios that put deliveries astray by hand: started, as their rows say, while the engine knows nothing of them."""

from datetime import timedelta

from sqlalchemy import text

from db.columns import now
from tests.crash.customer import Customer
from tests.crash.plants import repeated
from tests.crash.requests import Request

# The oldest, because its workflow has ended for long enough to be missed.
AGAIN = text(
    """
    update delivery
    set state = 'pending', run = run + :further, ended_at = null, created_at = :long_ago, dispatched_at = :long_ago
    where id = (
        select id from delivery
        where endpoint_id = :endpoint and state = 'delivered' and ended_at < now() - interval '40 seconds'
        order by id limit 1 for update skip locked
    )
    """
)
LONG_AGO = timedelta(minutes=3)


async def losing_a_delivery(customer: Customer, _request: Request, _name: str) -> None:
    """A delivery whose run the engine never heard of."""
    await _again(customer, further=1)


async def breaking_off_a_delivery(customer: Customer, _request: Request, _name: str) -> None:
    """A delivery that is to be made, and whose run has ended."""
    await _again(customer, further=0)


async def _again(customer: Customer, *, further: int) -> None:
    async def write() -> None:
        async with customer.doors.database.transaction() as session:
            connection = await session.connection()
            facts = {"endpoint": customer.doors.endpoint_id, "further": further, "long_ago": now() - LONG_AGO}
            await connection.execute(AGAIN, facts)

    await repeated(write)
