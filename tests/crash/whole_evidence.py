"""Evidence of one generation with which everything is right: what tests of the audit spoil, one thing at a time."""

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from uuid_utils.compat import uuid7

from contracts.statuses import AssetState, Billed, Kind, SpendState, Status, Step
from db.columns import now
from db.models import Asset, Event, Generation, Spend
from tests.budget_counts import BudgetCount
from tests.crash.asked import Asked, Followed, Memory
from tests.crash.evidence import Charge, Evidence

PRICE = Decimal("0.013")
JOB, TOKEN = "job-1", "token-1"
DIGEST = "d" * 64


@dataclass(slots=True)
class Parts:
    """An avatar that was asked for, bought, stored and seen to its end."""

    generation: Generation
    events: list[Event]
    spends: list[Spend]
    assets: list[Asset]
    objects: dict[str, str]
    charges: list[Charge]
    asked: list[Asked]
    budgets: list[BudgetCount] = field(default_factory=list)
    unforgotten: set[UUID] = field(default_factory=set)

    def evidence(self) -> Evidence:
        """All of it."""
        id_ = self.generation.id
        return Evidence(
            tenant_id=self.generation.tenant_id,
            generations={id_: self.generation},
            events={id_: self.events},
            spends={id_: self.spends},
            assets=self.assets,
            objects=self.objects,
            charges=self.charges,
            foreign_tokens=frozenset(),
            budgets=self.budgets,
            unforgotten=frozenset(self.unforgotten),
            memory=Memory(asked=self.asked),
        )


def a_picture() -> Parts:
    """Everything is right with it."""
    tenant_id, id_ = uuid7(), uuid7()
    asset = _asset(tenant_id, id_)
    answer = {"id": str(id_)}
    return Parts(
        generation=_generation(tenant_id, id_, asset),
        events=_events(id_, asset),
        spends=[_spend(tenant_id, id_, asset)],
        assets=[asset],
        objects={asset.key: DIGEST},
        charges=[a_charge()],
        asked=[
            Asked("avatar", "key", {}, answer, dict(answer), followed=[Followed(seqs=[1, 2, 3, 4], saw_end=True)]),
        ],
        budgets=[a_budget(Decimal(0), PRICE)],
    )


def a_charge(job_id: str = JOB, *, token: str = TOKEN, billed: bool | None = True) -> Charge:
    """A row of the provider's bill."""
    return Charge(job_id, "replicate", token, PRICE, now(), billed)


def a_budget(held_usd: Decimal, spent_usd: Decimal) -> BudgetCount:
    """The system's, as it counts; what the rows say is one picture."""
    return BudgetCount(uuid7(), "system", "", now().date(), (held_usd, spent_usd), (Decimal(0), PRICE))


def _generation(tenant_id: UUID, id_: UUID, asset: Asset) -> Generation:
    return Generation(
        id=id_,
        tenant_id=tenant_id,
        kind=Kind.avatar,
        status=Status.succeeded,
        request={},
        request_hash="",
        quote_max_usd=PRICE,
        cost_usd=PRICE,
        event_seq=4,
        finished_at=now(),
        result={"pictures": [{"step": "avatar", "asset": {"asset_id": str(asset.id)}}]},
    )


def _asset(tenant_id: UUID, generation_id: UUID) -> Asset:
    return Asset(
        tenant_id=tenant_id,
        generation_id=generation_id,
        step=Step.avatar,
        state=AssetState.stored,
        key=f"{tenant_id}/{generation_id}/avatar-{DIGEST[:16]}.png",
        content_type="image/png",
        size_bytes=1,
        sha256=DIGEST,
        width=1,
        height=1,
        stored_at=now(),
    )


def _events(generation_id: UUID, asset: Asset) -> list[Event]:
    kinds = ("generation.queued", "generation.running", "picture.stored", "generation.succeeded")
    data = {"asset_id": str(asset.id)}
    return [Event(generation_id=generation_id, seq=seq, type=kind, data=data) for seq, kind in enumerate(kinds, 1)]


def _spend(tenant_id: UUID, generation_id: UUID, asset: Asset) -> Spend:
    return Spend(
        tenant_id=tenant_id,
        generation_id=generation_id,
        step=Step.avatar,
        purchase=0,
        state=SpendState.settled,
        provider="replicate",
        model="model",
        token=TOKEN,
        prompt="",
        prompt_name="",
        prompt_version="",
        prompt_hash="",
        hold_usd=PRICE,
        cost_usd=PRICE,
        billed=Billed.yes,
        lease_until=now(),
        deadline_at=now(),
        sends=1,
        provider_job_id=JOB,
        asset_id=asset.id,
    )
