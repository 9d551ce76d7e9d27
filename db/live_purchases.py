"""How much is being bought, and from whom: the queues of providers and models, as the ledger sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from sqlalchemy import TextClause, text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.prepared import run


@dataclass(frozen=True, slots=True)
class LivePurchases:
    """Pictures of one model that are not ready: `held` are not sent yet, `sent` are at the provider."""

    held: int = 0
    sent: int = 0

    def __add__(self, other: "LivePurchases") -> "LivePurchases":
        """Both together."""
        return LivePurchases(self.held + other.held, self.sent + other.sent)


@dataclass(frozen=True, slots=True)
class Queues:
    """All live purchases by (provider, model), and how many generations wait for their next purchase, whoever makes it."""

    purchases: Mapping[tuple[str, str], LivePurchases] = field(default_factory=dict)
    generations_ahead: int = 0

    def of_model(self, provider: str, model: str) -> LivePurchases:
        """Those of one model."""
        return self.purchases.get((provider, model), LivePurchases())

    def of_provider(self, provider: str) -> LivePurchases:
        """Those of all models of a provider."""
        of_it = (live for (name, _), live in self.purchases.items() if name == provider)
        return sum(of_it, start=LivePurchases())


async def read(session: AsyncSession) -> Queues:
    """The queues as they are now: a look at the purchases, and one at the generations, that have not ended."""
    rows = (await run(session, _open(), {})).all()
    ahead = (await run(session, _ahead(), {})).scalar_one()
    return Queues({(row.provider, row.model): LivePurchases(row.held, row.sent) for row in rows}, ahead)


def statements() -> tuple[TextClause, TextClause]:
    """What `read` asks; a test looks at the plans."""
    return _open(), _ahead()


# The states stand in the text, and not in parameters, so that PostgreSQL sees that its partial indexes will do.
@cache
def _open() -> TextClause:
    return text(
        """
        select
            provider,
            model,
            count(*) filter (where state = 'held') as held,
            count(*) filter (where state <> 'held') as sent
        from spend
        where state in ('held', 'sent', 'submitted')
        group by provider, model
        """
    )


@cache
def _ahead() -> TextClause:
    return text(
        """
        select count(*)
        from generation
        where status in ('queued', 'running') and not exists (
            select from spend
            where spend.generation_id = generation.id and spend.state in ('held', 'sent', 'submitted')
        )
        """
    )
