"""What a check of the reconciler is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from contracts.reconciliation import Fact, FindingAction
from db.models import Asset, Generation, Spend
from db.webhook_models import Delivery

# How many rows a check looks at in one go; the next round goes on behind them.
PAGE = 200


@dataclass(frozen=True, slots=True)
class ReconcilingRules:
    """After how long something that has not moved is astray. `grace` counts where nothing nearer is said here."""

    grace: timedelta = timedelta(minutes=15)
    not_started: timedelta = timedelta(minutes=1)
    # The engine's word that a run has closed may be quicker than the last transaction of that run: it has 15 s.
    closed: timedelta = timedelta(seconds=30)
    cancel: timedelta = timedelta(seconds=30)
    # How far back the providers' lists of jobs are read: for so long they can tell what a job was made from.
    provider_remembers: timedelta = timedelta(minutes=55)


@dataclass(frozen=True, slots=True)
class Stray:
    """Something astray, as it was when it was found. `row` is what the check read; `facts` are for people."""

    kind: str
    tenant_id: UUID | None = None
    generation_id: UUID | None = None
    spend_id: UUID | None = None
    asset_id: UUID | None = None
    object_key: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    row: Any = None

    @classmethod
    def of_generation(cls, kind: str, row: Generation, **facts: Fact) -> "Stray":
        """A generation that is astray."""
        return cls(kind, tenant_id=row.tenant_id, generation_id=row.id, facts={"run": row.run} | facts, row=row)

    @classmethod
    def of_spend(cls, kind: str, row: Spend, **facts: Fact) -> "Stray":
        """A purchase that is astray."""
        known: dict[str, Fact] = {"step": row.step, "purchase": row.purchase, "provider": row.provider}
        return cls(
            kind,
            tenant_id=row.tenant_id,
            generation_id=row.generation_id,
            spend_id=row.id,
            facts=known | facts,
            row=row,
        )

    @classmethod
    def of_asset(cls, kind: str, row: Asset, **facts: Fact) -> "Stray":
        """A picture that is astray."""
        return cls(
            kind,
            tenant_id=row.tenant_id,
            generation_id=row.generation_id,
            asset_id=row.id,
            object_key=row.key,
            facts={"step": row.step} | facts,
            row=row,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a look brought up; `after`: where to go on (empty: nothing is behind it)."""

    strays: Sequence[Stray]
    after: str = ""


class Check(Protocol):
    """One thing that can go astray. Both methods may raise any DioramaError: then it is tried again in the next round."""

    name: str  # one of contracts.reconciliation.CHECKS

    async def find(self, after: str) -> Found:
        """Look behind `after`, and change nothing."""

    async def mend(self, stray: Stray) -> FindingAction | None:
        """Put it right, after looking again whether it is still astray: a live worker may act at the same moment.

        None: there is nothing to tell, as somebody else put it right meanwhile.
        """


def id_after(text: str) -> UUID | None:
    """The id behind which a look goes on."""
    return UUID(text) if text else None


def next_after(
    rows: Sequence[Generation] | Sequence[Spend] | Sequence[Asset] | Sequence[Delivery], limit: int = PAGE
) -> str:
    """Where to go on after these rows: empty when the page was not full."""
    return str(rows[-1].id) if len(rows) == limit else ""
