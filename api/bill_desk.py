"""Where a provider's bill is laid beside our ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from anyio import to_thread

from api.bill_comparison import Books, compare
from api.bill_file import read_bill
from contracts.bills import BillLine, BillReport
from db import bills
from db.reports import Reports
from errors import InvalidRequest
from providers.catalog import Catalog

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BillQuestion:
    """Whose bill, what its columns are called (api.bill_file), and its days by UTC, both included; None: as it says itself."""

    provider: str
    columns: Mapping[str, str] = field(default_factory=dict)
    first: date | None = None
    last: date | None = None


class BillDesk:
    """Compares; changes nothing."""

    def __init__(self, reports: Reports, catalog: Catalog) -> None:
        self._reports = reports
        self._catalog = catalog

    async def report(self, body: bytes, asked: BillQuestion, *, limit: int | None) -> BillReport:
        """The bill beside our ledger, with at most `limit` items. Raises InvalidRequest, DatabaseUnavailable."""
        price = partial(self._per_second, asked.provider)
        # A bill of a month takes seconds to read: other requests go on meanwhile.
        lines = await to_thread.run_sync(partial(read_bill, body, columns=asked.columns, per_second=price))
        since, until = _period(lines, asked)
        async with self._reports.snapshot() as session:
            by_job = await bills.by_jobs(session, asked.provider, [line.job_id for line in lines])
            books = Books(by_job, await bills.between(session, asked.provider, since - DAY, until + DAY))
        comparing = partial(compare, asked.provider, lines, books, since=since, until=until, limit=limit)
        return await to_thread.run_sync(comparing)

    def _per_second(self, provider: str, model: str) -> Decimal | None:
        known = self._catalog.has(provider, model)
        return self._catalog.entry(provider, model).per_second_usd if known else None


def _period(lines: Sequence[BillLine], asked: BillQuestion) -> tuple[datetime, datetime]:
    """The days that were named, or else from the bill's first job to its last. Raises InvalidRequest: nobody says."""
    times = [(line.created_at, line.whole_day) for line in lines if line.created_at is not None]
    if not times and (asked.first is None or asked.last is None):
        raise InvalidRequest(
            "The bill does not say when its jobs were made: give its first and last day.", field="from"
        )
    since = datetime.combine(asked.first, time(), UTC) if asked.first else min(at for at, _ in times)
    ends = (at + DAY if whole_day else at for at, whole_day in times)
    until = datetime.combine(asked.last, time(), UTC) + DAY if asked.last else max(ends)
    if since > until or (asked.first and asked.last and asked.first > asked.last):
        raise InvalidRequest("The first day of the bill comes after its last.", field="from")
    return since, until
