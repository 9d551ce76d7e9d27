"""A bill beside our ledger: what both have alike, and what not. Nothing here asks anybody."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from contracts.bills import CENT, SHARE, BillItem, BillLine, BillReport, BillVerdict, OurPurchase

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Books:
    """Our side: the purchases of the bill's jobs, whenever they were made, and all purchases of its period and near it.

    We write down when we send, and a bill says when the provider took it: a moment later, perhaps on the next day.
    """

    by_job: Mapping[str, OurPurchase]
    near: Sequence[OurPurchase]

    def tokens(self) -> dict[str, OurPurchase]:
        """The purchases by their tokens, as they are and hashed: providers are told one or the other."""
        plain = {one.token: one for one in self.near}
        return plain | {sha256(token.encode()).hexdigest(): one for token, one in plain.items()}


@dataclass(frozen=True, slots=True)
class _Pair:
    line: BillLine
    ours: OurPurchase | None


def compare(
    provider: str,
    lines: Sequence[BillLine],
    books: Books,
    *,
    since: datetime,
    until: datetime,
    limit: int | None = None,
) -> BillReport:
    """The report, with at most `limit` items: the largest differences first."""
    pairs = _paired(lines, books)
    met = {pair.ours.spend_id for pair in pairs if pair.ours}
    of_period = [one for one in books.near if since <= one.bought_at <= until]
    alone = [one for one in of_period if one.spend_id not in met and one.cost_usd]
    items = sorted(
        [*_differing(pairs), *(_item(BillVerdict.only_ours, None, one) for one in alone)],
        key=lambda item: -abs(item.difference_usd),
    )
    theirs = sum((pair.line.cost_usd or NOTHING for pair in pairs), NOTHING)
    matched = [pair.ours for pair in pairs if pair.ours and pair.line.cost_usd is not None]
    ours = sum((one.cost_usd or NOTHING for one in [*matched, *alone]), NOTHING)
    counts = Counter(item.verdict for item in items)
    return BillReport(
        provider=provider,
        since=since,
        until=until,
        lines=len(lines),
        matched=sum(pair.ours is not None for pair in pairs),
        without_cost=sum(pair.ours is not None and pair.line.cost_usd is None for pair in pairs),
        counts={verdict: counts[verdict] for verdict in BillVerdict},
        theirs_usd=theirs,
        ours_usd=ours,
        difference_usd=theirs - ours,
        only_theirs_usd=_sum_of(items, BillVerdict.only_theirs),
        only_ours_usd=-_sum_of(items, BillVerdict.only_ours),
        items=tuple(items[:limit]),
        truncated=limit is not None and len(items) > limit,
    )


def _paired(lines: Sequence[BillLine], books: Books) -> list[_Pair]:
    """Each line with its purchase: by its job, or else by its token, as a purchase has one job.

    A second job with the same token was bought besides.
    """
    met = {ours.spend_id for line in lines if (ours := books.by_job.get(line.job_id))}
    tokens = books.tokens()
    pairs: list[_Pair] = []
    for line in lines:
        ours = books.by_job.get(line.job_id)
        if ours is None and (named := tokens.get(line.token or "")) is not None and named.spend_id not in met:
            met.add(named.spend_id)
            ours = named
        pairs.append(_Pair(line, ours))
    return pairs


def _sum_of(items: Sequence[BillItem], verdict: BillVerdict) -> Decimal:
    return sum((item.difference_usd for item in items if item.verdict is verdict), NOTHING)


def _differing(pairs: Sequence[_Pair]) -> Iterator[BillItem]:
    for pair in pairs:
        line, ours = pair.line, pair.ours
        if ours is None:
            yield _item(BillVerdict.only_theirs, line, None)
        elif line.cost_usd is None:
            continue
        elif ours.cost_usd is None:
            yield _item(BillVerdict.not_settled, line, ours)
        elif differs(line.cost_usd, ours.cost_usd, rounded=line.rounded_usd):
            yield _item(BillVerdict.amount_differs, line, ours)


def differs(theirs: Decimal, ours: Decimal, *, rounded: Decimal = NOTHING) -> bool:
    """Whether two amounts (USD) differ by more than a cent, or more than 1 %, and the bill's rounding does not explain it."""
    apart = abs(theirs - ours)
    return apart > rounded and (apart > CENT or apart > SHARE * max(abs(theirs), abs(ours)))


def _item(verdict: BillVerdict, line: BillLine | None, ours: OurPurchase | None) -> BillItem:
    theirs_usd = line.cost_usd if line else None
    ours_usd = ours.cost_usd if ours else None
    return BillItem(
        verdict=verdict,
        job_id=line.job_id if line else (ours.job_id if ours else None),
        model=(line and line.model) or (ours.model if ours else None),
        at=(line and line.created_at) or (ours.bought_at if ours else None),
        theirs_usd=theirs_usd,
        ours_usd=ours_usd,
        difference_usd=(theirs_usd or NOTHING) - (ours_usd or NOTHING),
        spend_id=ours.spend_id if ours else None,
        generation_id=ours.generation_id if ours else None,
        tenant_id=ours.tenant_id if ours else None,
        state=ours.state if ours else None,
        billed=ours.billed if ours else None,
    )
