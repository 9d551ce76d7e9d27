"""CSV that spreadsheets read as it was meant."""

import csv
import io
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.csv_answer import FORMULAS, IN_MEMORY_BYTES, Cell, csv_answer, csv_line, wants_csv

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(texts, min_size=1, max_size=5))
def test_what_is_written_is_read_as_it_was_and_never_as_a_formula(cells: list[str]) -> None:
    (read,) = csv.reader(io.StringIO(csv_line(cells).decode(), newline=""), strict=True)

    assert not any(cell.startswith(FORMULAS) for cell in read)
    assert [cell.removeprefix("'") if cell[1:].startswith(FORMULAS) else cell for cell in read] == [
        cell.removeprefix("'") if cell[1:].startswith(FORMULAS) else cell for cell in cells
    ]


def test_numbers_are_numbers_and_nothing_is_nothing() -> None:
    assert (
        csv_line(["a b", 3, Decimal("-0.000001"), Decimal("1E+3"), None, 'x,"y"'])
        == b'a b,3,-0.000001,1000,,"x,""y"""\r\n'
    )


@pytest.mark.parametrize("count", [0, 3, 200_000])
async def test_an_answer_says_its_length_and_has_all_rows_also_beyond_what_is_held_in_memory(count: int) -> None:
    async def rows() -> AsyncIterator[list[Cell]]:
        for number in range(count):
            yield [number, "a cell of some length"]

    answer = await csv_answer(["number", "text"], rows(), filename="a.csv")
    body = b"".join([chunk async for chunk in answer.body_iterator if isinstance(chunk, bytes)])

    assert (len(body), body.count(b"\r\n")) == (int(answer.headers["Content-Length"]), count + 1)
    assert (count < 200_000) or len(body) > IN_MEMORY_BYTES


async def test_a_trouble_on_the_way_is_raised_before_anything_is_answered() -> None:
    async def rows() -> AsyncIterator[list[Cell]]:
        yield [1]
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await csv_answer(["number"], rows(), filename="a.csv")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, False),
        ("*/*", False),
        ("text/csv", True),
        ("text/csv; header=present, */*;q=0.1", True),
        ("application/json, text/csv", False),
    ],
)
def test_csv_is_given_to_who_asks_for_it(accept: str | None, wanted: bool) -> None:
    assert wants_csv(accept) is wanted
