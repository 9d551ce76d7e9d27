"""Does the ledger of purchases say the same as the provider's bill, and was nothing bought twice unnoticed?"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from uuid import UUID

from contracts.statuses import Billed, SpendState, Status
from db.models import Generation, Spend
from tests.crash.breach import Breach
from tests.crash.evidence import Charge, Evidence

OPEN = frozenset({SpendState.held, SpendState.sent, SpendState.submitted, SpendState.unknown})
CAN_BE_ASKED = frozenset({"replicate"})
CENT_FRACTION = Decimal("0.000001")  # the ledger's last digit


@dataclass(frozen=True, slots=True)
class Bill:
    """The charges of each purchase, and those that no purchase explains."""

    of_spend: dict[UUID, list[Charge]]
    unexplained: list[Charge]

    def billed(self, spend: Spend) -> list[Charge]:
        """The charges of a purchase that cost money, or may."""
        return [charge for charge in self.of_spend[spend.id] if charge.billed is not False]


def bill_of(evidence: Evidence) -> Bill:
    """Put each charge to its purchase: by the job that the purchase names, else by the token that it carried."""
    spends = [spend for group in evidence.spends.values() for spend in group]
    by_job = {(spend.provider, spend.provider_job_id): spend for spend in spends if spend.provider_job_id}
    by_token = {name: spend for spend in spends for name in _names(spend.token)}
    foreign = {name for token in evidence.foreign_tokens for name in _names(token)}
    bill = Bill(defaultdict(list), [])
    for charge in evidence.charges:
        spend = by_job.get((charge.provider, charge.job_id)) or by_token.get(charge.token)
        if spend is not None:
            bill.of_spend[spend.id].append(charge)
        elif charge.token not in foreign:
            bill.unexplained.append(charge)
    return bill


def _names(token: str) -> tuple[str, str]:
    """As Replicate is told, and as OpenAI is."""
    return token, sha256(token.encode()).hexdigest()


def audit_money(evidence: Evidence, bill: Bill) -> Iterator[Breach]:
    """All that is wrong with purchases, holds and costs."""
    for charge in bill.unexplained:
        yield Breach(f"{charge.provider} charged {charge.amount_usd} USD for {charge.job_id}: no purchase explains it")
    for generation in evidence.generations.values():
        spends = evidence.spends.get(generation.id, ())
        for spend in spends:
            yield from _purchase(generation, spend, bill)
        by_step: dict[str, list[Spend]] = defaultdict(list)
        for spend in spends:
            by_step[spend.step].append(spend)
        for step, group in by_step.items():
            yield from _bought_again(generation, step, group, bill)
        yield from _cost(generation, spends)
        yield from _promise(generation, spends)
    for budget in evidence.budgets:
        if budget.counted != budget.rows:
            what = f"the budget of {budget.of} {budget.owner} counts {_usd(budget.counted)} since {budget.begins_on}"
            yield Breach(f"{what}, and the rows say {_usd(budget.rows)}")


def _purchase(generation: Generation, spend: Spend, bill: Bill) -> Iterator[Breach]:
    name = f"purchase {spend.step}/{spend.purchase} at {spend.provider}"
    charges, billed = bill.of_spend[spend.id], bill.billed(spend)
    if any(charge.billed is None for charge in charges):
        yield Breach(f"{name}: its job still runs at the provider", generation.id)
    if len(billed) > 1:
        yield Breach(f"{name} was charged {len(billed)} times", generation.id)
    waits = generation.status is Status.needs_review and spend.state in OPEN
    if generation.status.is_final and spend.state in OPEN and not waits:
        yield Breach(f"{name} is still {spend.state}: {spend.hold_usd} USD are held", generation.id)
    if spend.state is SpendState.released and billed:
        yield Breach(f"{name} was released, and was charged {billed[0].amount_usd} USD", generation.id)
    in_doubt = spend.state is SpendState.settled and spend.billed is Billed.unknown
    if in_doubt and spend.provider in CAN_BE_ASKED and spend.verified_at is None:
        yield Breach(f"{name} ended, and its provider was never asked what it costs", generation.id)
    if spend.state is SpendState.settled and spend.billed is Billed.yes:
        if not billed:
            yield Breach(f"{name} was settled as billed, and the provider did not charge it", generation.id)
        elif spend.asset_id and abs((spend.cost_usd or 0) - billed[0].amount_usd) > CENT_FRACTION:
            yield Breach(f"{name} cost {spend.cost_usd}, the bill says {billed[0].amount_usd} USD", generation.id)


def _bought_again(generation: Generation, step: str, group: Sequence[Spend], bill: Bill) -> Iterator[Breach]:
    """A picture is bought again only when the purchase before failed, and said why; in doubt, the new one says that."""
    for before, after in pairwise(sorted(group, key=lambda spend: spend.purchase)):
        if after.error_code == "stray_job" or (after.state is SpendState.released and after.sends == 0):
            continue  # the record of a job that nobody ordered, or a purchase that was never sent
        if before.asset_id is not None or (before.error_code is None and before.state is not SpendState.unknown):
            yield Breach(f"{step} was bought again after purchase {before.purchase} had not failed", generation.id)
        in_doubt = bill.billed(before) and before.billed is not Billed.yes
        if in_doubt and bill.billed(after) and not after.possible_duplicate:
            yield Breach(f"{step}/{after.purchase} may be a duplicate, and is not marked as one", generation.id)


def _cost(generation: Generation, spends: Sequence[Spend]) -> Iterator[Breach]:
    if not generation.status.is_final:
        return
    total = sum((spend.cost_usd or Decimal(0) for spend in spends), Decimal(0))
    if generation.cost_usd != total:
        yield Breach(f"it cost {generation.cost_usd}, its purchases {total} USD", generation.id)
    parked = generation.status is Status.needs_review
    wanted = max(Decimal(0), generation.quote_max_usd - total) if parked else Decimal(0)
    if generation.hold_usd != wanted:
        held = f"{generation.hold_usd} USD are still held for it"
        yield Breach(f"it is {generation.status}, and {held}, instead of {wanted}", generation.id)


def _promise(generation: Generation, spends: Sequence[Spend]) -> Iterator[Breach]:
    """Jobs that nobody ordered, and what a bill is above its purchase's highest price, may pass what was promised."""
    ordered = [spend for spend in spends if spend.error_code != "stray_job"]
    bought = sum((min(spend.cost_usd or Decimal(0), spend.hold_usd) for spend in ordered), Decimal(0))
    if bought > generation.quote_max_usd:
        yield Breach(f"{bought} USD were bought for it, and {generation.quote_max_usd} were promised", generation.id)


def _usd(money: tuple[Decimal, Decimal]) -> str:
    return f"{money[0]} held and {money[1]} spent"


def extra_charges(evidence: Evidence, bill: Bill) -> int:
    """Charges beyond the one for a purchase, and those that no purchase explains."""
    spends = [spend for group in evidence.spends.values() for spend in group]
    return len(bill.unexplained) + sum(max(0, len(bill.billed(spend)) - 1) for spend in spends)
