"""Reading providers' exports: by the names of their columns, and with what rounding may hide."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from api.bill_file import read_bill
from contracts.bills import BillLine
from errors import InvalidRequest

NO_COLUMNS: dict[str, str] = {}


def read(text: str, **columns: str) -> list[BillLine]:
    prices = {"gpu-model": Decimal("0.001")}
    return read_bill(text.encode(), columns=columns, per_second=prices.get)


def test_columns_are_found_by_their_names_in_any_order_and_spelling() -> None:
    (line,) = read(
        "Created At,Amount (USD),Model,Prediction ID\n2026-11-20T10:00:00Z,0.04,a/b,p1\n", cost="Amount (USD)"
    )

    assert line == BillLine(
        "p1", None, "a/b", datetime(2026, 11, 20, 10, tzinfo=UTC), Decimal("0.04"), Decimal("0.005")
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("begin", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_spreadsheets_write_it_in_many_ways(separator: str, begin: str, end: str) -> None:
    rows = [["id", "cost"], ["p1", "0.5"], ["", ""], ["p2", "1.5"]]

    lines = read(begin + end.join(separator.join(row) for row in rows))

    assert [(line.job_id, line.cost_usd) for line in lines] == [("p1", Decimal("0.5")), ("p2", Decimal("1.5"))]


@pytest.mark.parametrize("line", ["p2", "p2,m", "p2,m,0.5,0.7", '"p2,m,0.5'])
def test_a_line_that_was_cut_off_or_has_moved_is_refused(line: str) -> None:
    with pytest.raises(InvalidRequest):
        read(f"id,model,cost\np1,m,0.5\n{line}\n")


def test_separators_at_the_end_of_a_line_are_no_cells() -> None:
    assert [line.job_id for line in read("id,cost\np1,0.5,\np2,0.5,,\n")] == ["p1", "p2"]


@pytest.mark.parametrize(
    ("said", "usd", "rounded"),
    [
        ("0.003000", "0.003", "0.0000005"),
        ("$1,234.50", "1234.5", "0.005"),
        ("0.04 USD", "0.04", "0.005"),
        ("2", "2", "0.005"),
        ("1.5e-05", "0.000015", "0.0000005"),
        ("-0.25", "-0.25", "0.005"),
    ],
)
def test_amounts_are_exact_and_say_how_far_they_may_be_rounded(said: str, usd: str, rounded: str) -> None:
    (line,) = read(f'id,cost\np1,"{said}"\n')

    assert (line.cost_usd, line.rounded_usd) == (Decimal(usd), Decimal(rounded))


@pytest.mark.parametrize(
    ("said", "usd"), [("0,04", "0.04"), ("12,5", "12.5"), ("1,234", "1.234"), ("1,234.50", "1234.5")]
)
def test_where_semicolons_stand_between_cells_a_comma_is_the_decimal_point(said: str, usd: str) -> None:
    (line,) = read(f"id;cost\np1;{said}\n")

    assert line.cost_usd == Decimal(usd)


@pytest.mark.parametrize(
    "bill", ['id,cost\np1,"0,04"\n', 'id,cost\np1,"12,5"\n', "id\tcost\np1\t0,04\n", "id;cost\np1;1.234,50\n"]
)
def test_an_amount_that_might_be_read_a_hundred_times_too_large_is_refused(bill: str) -> None:
    with pytest.raises(InvalidRequest, match=r"Line 2 .* amount"):
        read(bill)


def test_seconds_of_a_gpu_become_money_by_the_catalogs_price() -> None:
    lines = read("id,model,predict_time\np1,gpu-model,2.5\np2,unknown,2.5\np3,gpu-model,\n")

    assert [line.cost_usd for line in lines] == [Decimal("0.0025"), None, None]


@pytest.mark.parametrize("said", ["2026-11-20 10:00:00", "2026-11-20T11:00:00+01:00", "1795168800", "1795168800.0"])
def test_times_come_in_many_forms(said: str) -> None:
    (line,) = read(f"id,cost,created\np1,1,{said}\n")

    assert (line.created_at, line.whole_day) == (datetime(2026, 11, 20, 10, tzinfo=UTC), False)


def test_a_date_is_the_whole_day() -> None:
    (line,) = read("id,cost,date\np1,1,2026-11-20\n")

    assert (line.created_at, line.whole_day) == (datetime(2026, 11, 20, tzinfo=UTC), True)


def test_several_lines_of_a_job_are_one_and_what_is_not_charged_is_none() -> None:
    lines = read("id,cost,billed\np1,0.10,true\np1,0.05,yes\np2,0.30,false\n")

    assert [(line.job_id, line.cost_usd, line.rounded_usd) for line in lines] == [
        ("p1", Decimal("0.15"), Decimal("0.010"))
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cost\n1\n", "column with the jobs' ids"),
        ("id,colour\np1,red\n", "column with the costs"),
        ("id,cost\np1,much\n", "Line 2 .* amount"),
        ("id,cost\np1,1\np2,NaN\n", "Line 3 .* amount"),
        ("id,cost\np1,1e999\n", "Line 2 .* amount"),
        ("id,cost,created\np1,1,yesterday\n", "Line 2 .* time"),
        ("id,cost,created\np1,1,2026-13-01\n", "Line 2 .* time"),
        ("id,cost,created\np1,1,0001-01-01\n", "Line 2 .* time"),
        ("id,cost,created\np1,1,1969-05-01\n", "Line 2 .* time"),
        ("id,cost,created\np1,1,000000000\n", "Line 2 .* time"),
        ("id,cost,created\np1,1,9999-12-31T23:59:59-12:00\n", "Line 2 .* time"),
        ("id,cost\np1\x00,1\n", "not text"),
        ("id,cost\n,1\n", "Line 2 .* no id"),
        (f"id,cost\n{'x' * 200_000},1\n", "not valid CSV"),
    ],
)
def test_what_is_no_bill_is_refused_in_words_that_name_the_line(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read(text)


@pytest.mark.parametrize("text", ["", "\ufeff", " \r\n\n"])
def test_an_empty_bill_is_called_so(text: str) -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        read(text)


def test_bytes_that_are_no_text_and_columns_that_are_not_there_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        read_bill(b"id,cost\n\xff,1\n", columns=NO_COLUMNS, per_second=lambda _: None)
    with pytest.raises(InvalidRequest, match="no column 'Price'"):
        read("id,cost\np1,1\n", cost="Price")
