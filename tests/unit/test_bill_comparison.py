"""Bill and ledger side by side: each difference is found once, and nothing else is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bill_comparison import Books, compare, differs
from contracts.bills import BillLine, BillReport, BillVerdict, OurPurchase

BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
END = BEGIN + timedelta(days=1)
EXACT = Decimal("0.0000005")


def line(job_id: str, usd: str | None = "0.04", *, token: str | None = None, rounded: Decimal = EXACT) -> BillLine:
    return BillLine(job_id, token, "a/b", BEGIN, None if usd is None else Decimal(usd), rounded)


def ours(job_id: str | None, usd: str | None = "0.04", *, token: str = "", bought_at: datetime = BEGIN) -> OurPurchase:
    return OurPurchase(
        spend_id=uuid4(),
        generation_id=uuid4(),
        tenant_id=uuid4(),
        model="a/b",
        token=token or str(uuid4()),
        job_id=job_id,
        state="settled" if usd is not None else "unknown",
        cost_usd=None if usd is None else Decimal(usd),
        billed="yes",
        bought_at=bought_at,
    )


def compared(lines: list[BillLine], books: list[OurPurchase], limit: int | None = None) -> BillReport:
    by_job = {one.job_id: one for one in books if one.job_id in {line.job_id for line in lines}}
    found = {job_id: one for job_id, one in by_job.items() if job_id}
    return compare("replicate", lines, Books(found, books), since=BEGIN, until=END, limit=limit)


def told(report: BillReport) -> list[tuple[str, str | None]]:
    return [(item.verdict.value, item.job_id) for item in report.items]


def test_a_bill_that_is_like_the_ledger_has_no_differences() -> None:
    report = compared([line("p1"), line("p2", "1.00")], [ours("p1"), ours("p2", "1.00"), ours("p3", "0.00")])

    assert (told(report), report.matched, report.difference_usd) == ([], 2, Decimal(0))
    assert report.theirs_usd == report.ours_usd == Decimal("1.04")
    assert set(report.counts.values()) == {0}


def test_each_kind_of_difference_is_told_with_the_largest_first() -> None:
    lines = [line("theirs", "0.50"), line("both", "0.04"), line("dearer", "0.10"), line("open", "0.06")]
    books = [ours("both"), ours("dearer", "0.07"), ours("open", None), ours("ours", "0.20")]

    report = compared(lines, books)

    assert told(report) == [
        ("only_theirs", "theirs"),
        ("only_ours", "ours"),
        ("not_settled", "open"),
        ("amount_differs", "dearer"),
    ]
    assert (report.only_theirs_usd, report.only_ours_usd) == (Decimal("0.50"), Decimal("0.20"))
    assert report.difference_usd == report.theirs_usd - report.ours_usd == Decimal("0.39")
    assert {item.generation_id for item in report.items[1:]} == {
        one.generation_id for one in books if one.job_id != "both"
    }


@pytest.mark.parametrize(
    ("theirs", "known", "rounded", "different"),
    [
        ("0.04", "0.04", "0", False),
        ("0.0404", "0.04", "0", False),  # 1 %
        ("0.0405", "0.04", "0", True),
        ("0.0300", "0.003", "0", True),  # less than three cents, and ten times as much
        ("5.01", "5.00", "0", False),  # a cent
        ("5.02", "5.00", "0", True),
        ("0.00", "0.004", "0.005", False),  # a bill in whole cents
        ("0.01", "0.04", "0.005", True),
        ("0", "0", "0", False),
        ("-0.04", "0.04", "0", True),
    ],
)
def test_amounts_differ_by_more_than_a_cent_or_one_percent(
    theirs: str, known: str, rounded: str, different: bool
) -> None:
    assert differs(Decimal(theirs), Decimal(known), rounded=Decimal(rounded)) is different


@pytest.mark.parametrize("said", ["a token", sha256(b"a token").hexdigest()])
def test_where_a_provider_has_ids_of_its_own_our_token_finds_the_purchase(said: str) -> None:
    report = compared([line("req_1", token=said)], [ours(None, token="a token")])

    assert (report.matched, report.items) == (1, ())


def test_what_was_sent_near_the_period_explains_a_line_and_is_missed_by_nobody() -> None:
    before = BEGIN - timedelta(seconds=2)
    bought = [ours(None, token="first", bought_at=before), ours(None, token="another bill's", bought_at=before)]

    report = compared([line("req_1", token="first")], bought)

    assert (report.matched, report.items) == (1, ())


def test_a_second_job_with_the_same_token_was_bought_besides() -> None:
    bought = ours("p1", token="a token")

    report = compared([line("p0", token="a token"), line("p1", token="a token")], [bought])

    assert told(report) == [("only_theirs", "p0")]


def test_what_the_bill_does_not_price_is_matched_and_not_compared() -> None:
    report = compared([line("p1", None)], [ours("p1")])

    assert (report.matched, report.without_cost, told(report), report.difference_usd) == (1, 1, [], Decimal(0))


def test_a_long_report_is_cut_and_says_so() -> None:
    report = compared([line(f"p{number}") for number in range(5)], [], limit=3)

    assert (len(report.items), report.truncated, report.counts[BillVerdict.only_theirs]) == (3, True, 5)


cents = st.integers(0, 200).map(lambda n: Decimal(n) / 100)


@given(st.dictionaries(st.integers(0, 30), cents), st.dictionaries(st.integers(0, 30), cents))
def test_the_differences_are_together_what_the_totals_are_apart(
    bill: dict[int, Decimal], ledger: dict[int, Decimal]
) -> None:
    lines = [replace(line(f"p{number}"), cost_usd=usd) for number, usd in bill.items()]
    books = [replace(ours(f"p{number}"), cost_usd=usd) for number, usd in ledger.items()]

    report = compared(lines, books)

    small = sum(
        (usd - ledger[n] for n, usd in bill.items() if n in ledger and not differs(usd, ledger[n], rounded=EXACT)),
        Decimal(0),
    )
    assert report.difference_usd == sum((item.difference_usd for item in report.items), Decimal(0)) + small
    assert report.matched == len(bill.keys() & ledger.keys())
