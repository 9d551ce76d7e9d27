"""What a scenario sees of the ledger: whether its picture is being made by now."""

from sqlmodel import col, select

from contracts.statuses import SpendState
from db.models import Spend
from errors import DatabaseUnavailable
from tests.crash.asked import Asked
from tests.crash.customer import Customer
from tests.crash.looking import until

LOOK_EVERY_S = 0.2
SUBMITTED_WITHIN_S = 30.0


async def is_submitted(customer: Customer, asked: Asked) -> bool:
    """Wait until the provider has its job. False when it does not come to that."""

    async def submitted() -> bool:
        try:
            spend = await first_spend(customer, asked)
        except DatabaseUnavailable:
            return False
        return spend is not None and spend.state is SpendState.submitted

    try:
        await until(submitted, every_s=LOOK_EVERY_S, within_s=SUBMITTED_WITHIN_S)
    except TimeoutError:
        return False
    return True


async def first_spend(customer: Customer, asked: Asked) -> Spend | None:
    """The first that has a job; else the first of all: candidates that were passed by have purchases without one."""
    async with customer.doors.database.transaction() as session:
        jobs_first = col(Spend.provider_job_id).is_(None), col(Spend.id)
        query = select(Spend).where(Spend.generation_id == asked.generation_id).order_by(*jobs_first)
        return (await session.exec(query)).first()
