"""Reading a provider's bill: a CSV export, whose columns are found by their names."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from contracts.bills import BillLine
from errors import InvalidRequest

# How exports call what is needed, in small letters with `_` for all else; the first that is there is taken.
KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "prediction_id", "job_id", "request_id", "task_id"),
    "cost": ("cost_usd", "amount_usd", "total_usd", "cost", "amount", "price", "total_cost", "total"),
    "seconds": ("predict_time", "metrics_predict_time", "predict_time_seconds", "billable_seconds"),
    "time": ("created_at", "created", "accepted_at", "started_at", "timestamp", "time", "date"),
    "model": ("model", "model_name", "model_id"),
    "token": ("token", "user_id", "user", "safety_identifier"),
    "billed": ("billed", "charged"),
}
# Rounding explains at most that much: what is shown as 0 may have been half a cent, and not a dollar.
MOST_ROUNDED: Final = Decimal("0.005")
LONGEST_CELL: Final = 1000
# A bill of other years is none of ours, and times have no room there for what is added to them.
YEARS: Final = range(2020, 2200)
_AMOUNT: Final = re.compile(r"-?\d{1,9}(\.\d{1,15})?([eE][+-]?\d{1,2})?")
_THOUSANDS: Final = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")
_SECONDS_SINCE_1970: Final = re.compile(r"\d{9,11}(\.\d{1,9})?")
_NO: Final = frozenset({"false", "no", "0", "f", "n"})

# The price of a second of a model's GPU (USD); None: it is not sold by the second.
PerSecond = Callable[[str], Decimal | None]


def read_bill(body: bytes, *, columns: Mapping[str, str], per_second: PerSecond) -> list[BillLine]:
    """The jobs on the bill, each once: several lines of a job are added up, and lines that are not charged left out.

    `columns` says what the columns of KNOWN are called here, where they are called otherwise. Raises InvalidRequest.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest("The bill is not UTF-8 text.") from None
    if not text.strip():
        raise InvalidRequest("The bill is empty: send the provider's CSV export, whose first line names the columns.")
    if "\x00" in text:  # no column of PostgreSQL's could hold it, either
        raise InvalidRequest("The bill is not text.")
    delimiter = _delimiter(text)
    # Strict: a quote that is never closed would swallow all lines behind it as one cell.
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    jobs: dict[str, BillLine] = {}
    try:
        head = next(rows, [])
        reader = _Reader.of(head, columns, per_second, decimal_comma=delimiter == ";")
        for number, row in enumerate(rows, start=2):
            _refuse_cut_off(row, head, number)
            line = reader.line(row, number) if any(row) else None
            if line is not None:
                jobs[line.job_id] = _together(jobs[line.job_id], line) if line.job_id in jobs else line
    except csv.Error as error:
        raise InvalidRequest(f"The bill is not valid CSV: {error}.") from None
    return list(jobs.values())


def _refuse_cut_off(row: Sequence[str], head: Sequence[str], number: int) -> None:
    """A line with other cells than the first one was cut off or has moved: its amount would be read as none, or as another."""
    if any(row) and (len(row) < len(head) or any(row[len(head) :])):
        raise InvalidRequest(f"Line {number} of the bill has {len(row)} cells, and its first line {len(head)}.")


def _delimiter(text: str) -> str:
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)


def _together(first: BillLine, second: BillLine) -> BillLine:
    costs = [line.cost_usd for line in (first, second) if line.cost_usd is not None]
    return replace(
        first, cost_usd=sum(costs, Decimal(0)) if costs else None, rounded_usd=first.rounded_usd + second.rounded_usd
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Where each column is. Those that the bill has not are not there.

    `decimal_comma`: 0,04 is four cents, as spreadsheets write where `;` stands between cells.
    """

    places: Mapping[str, int]
    per_second: PerSecond
    decimal_comma: bool

    @classmethod
    def of(
        cls, head: Sequence[str], columns: Mapping[str, str], per_second: PerSecond, *, decimal_comma: bool
    ) -> "_Reader":
        names = [_plain(name) for name in head]
        places = dict(_places(names, columns))
        if "id" not in places:
            raise InvalidRequest(f"The bill needs a column with the jobs' ids: one of {', '.join(KNOWN['id'])}.")
        if not places.keys() & {"cost", "seconds"}:
            raise InvalidRequest(f"The bill needs a column with the costs in USD: one of {', '.join(KNOWN['cost'])}.")
        return cls(places, per_second, decimal_comma)

    def line(self, row: Sequence[str], number: int) -> BillLine | None:
        """A line of the bill; None for one that is not charged."""
        if self._cell(row, "billed").lower() in _NO:
            return None
        job_id, model = self._cell(row, "id"), self._cell(row, "model") or None
        if not job_id:
            raise InvalidRequest(f"Line {number} of the bill has no id.")
        cost, rounded = self._cost(row, model, number)
        created_at, whole_day = _time(self._cell(row, "time"), number)
        return BillLine(
            job_id=job_id,
            token=self._cell(row, "token") or None,
            model=model,
            created_at=created_at,
            cost_usd=cost,
            rounded_usd=rounded,
            whole_day=whole_day,
        )

    def _cost(self, row: Sequence[str], model: str | None, number: int) -> tuple[Decimal | None, Decimal]:
        said = self._cell(row, "cost")
        if said:
            return self._amount(said, number)
        seconds = self._cell(row, "seconds")
        price = self.per_second(model) if seconds and model else None
        if price is None:
            return None, Decimal(0)
        ran, rounded = self._amount(seconds, number)
        return ran * price, rounded * price

    def _amount(self, said: str, number: int) -> tuple[Decimal, Decimal]:
        """The amount, and half of its last digit."""
        found = _AMOUNT.fullmatch(_with_point(said, decimal_comma=self.decimal_comma))
        if found is None:
            raise InvalidRequest(f"Line {number} of the bill has an amount that is none.")
        amount = Decimal(found[0])
        last_digit = amount.as_tuple().exponent
        return amount, min(Decimal(5).scaleb(int(last_digit) - 1), MOST_ROUNDED)

    def _cell(self, row: Sequence[str], name: str) -> str:
        place = self.places.get(name)
        return row[place].strip()[:LONGEST_CELL] if place is not None and place < len(row) else ""


def _places(names: Sequence[str], columns: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for column, usual in KNOWN.items():
        if column in columns:
            if (named := _plain(columns[column])) not in names:
                raise InvalidRequest(f"The bill has no column '{columns[column]}'.", field="columns")
            yield column, names.index(named)
        elif found := next((name for name in usual if name in names), None):
            yield column, names.index(found)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _with_point(said: str, *, decimal_comma: bool) -> str:
    """An amount without its currency and its commas; one whose commas may mean either is left as it is, and refused."""
    amount = said.replace("$", "").removesuffix("USD").strip()
    if decimal_comma and amount.count(",") == 1 and "." not in amount:
        return amount.replace(",", ".")
    return amount.replace(",", "") if _THOUSANDS.fullmatch(amount) else amount


def _time(said: str, number: int) -> tuple[datetime | None, bool]:
    """A time in ISO 8601 (without a zone: by UTC), or in seconds since 1970; and whether it is a whole day."""
    if not said:
        return None, False
    try:
        found, whole_day = _read_time(said)
    except ValueError:
        raise InvalidRequest(f"Line {number} of the bill has a time that is none.") from None
    if found.year not in YEARS:
        raise InvalidRequest(f"Line {number} of the bill has a time that is none: it is of the year {found.year}.")
    return found if found.tzinfo else found.replace(tzinfo=UTC), whole_day


def _read_time(said: str) -> tuple[datetime, bool]:
    """Raises ValueError."""
    if _SECONDS_SINCE_1970.fullmatch(said):
        return datetime.fromtimestamp(float(said), UTC), False
    try:
        return datetime.combine(date.fromisoformat(said), time()), True
    except ValueError:
        return datetime.fromisoformat(said), False
