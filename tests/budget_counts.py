"""What budgets count, beside what the rows say that they must count."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

# Of each valid budget, for each of its periods: the rows that were accepted, or bought at its provider, in that period.
COUNTS: Final = """
    select budget.id, budget."of", budget.owner, begins_on, held_usd, spent_usd,
        coalesce(sum(held), 0) as rows_held_usd, coalesce(sum(spent), 0) as rows_spent_usd
    from budget join budget_period on budget_id = budget.id left join (
        select 'system' as kind, '' as name, created_at, hold_usd as held, coalesce(cost_usd, 0) - own_keys_usd as spent
        from generation
        union all
        select 'tenant', cast(tenant_id as text), created_at, hold_usd, coalesce(cost_usd, 0) from generation
        union all
        select 'key', coalesce(api_key.budget_key, key_id), generation.created_at, hold_usd, coalesce(cost_usd, 0)
        from generation left join api_key on api_key.id = key_id where key_id is not null
        union all
        select 'provider', provider, created_at, case when state in ('settled', 'released') then 0 else hold_usd end,
            case when state = 'settled' then coalesce(cost_usd, 0) else 0 end
        from spend where not own_key
    ) as counted on kind = budget."of" and name = budget.owner
        and cast(date_trunc(period, counted.created_at at time zone 'utc') as date) = begins_on
    where removed_at is null group by budget.id, begins_on, held_usd, spent_usd
"""


@dataclass(frozen=True, slots=True)
class BudgetCount:
    """A budget in one of its periods (USD): (promised, spent) as it counts them, and as the rows add up to."""

    budget_id: UUID
    of: str
    owner: str
    begins_on: date
    counted: tuple[Decimal, Decimal]
    rows: tuple[Decimal, Decimal]


async def read_counts(session: AsyncSession) -> list[BudgetCount]:
    """All valid budgets in all their periods, seen in one moment."""
    found = (await (await session.connection()).execute(text(COUNTS))).all()
    return [
        BudgetCount(
            budget_id=row.id,
            of=row.of,
            owner=row.owner,
            begins_on=row.begins_on,
            counted=(row.held_usd, row.spent_usd),
            rows=(row.rows_held_usd, row.rows_spent_usd),
        )
        for row in found
    ]
