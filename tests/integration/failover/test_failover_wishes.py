"""What becomes of a wish that the second provider cannot meet, and of a picture that the second cannot make either."""

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, Final

import pytest

from tests.integration.failover.cell import Cell
from tests.integration.failover.house import PROVIDERS, House
from tests.integration.failover.matrix import play_cells
from tests.integration.failover.troubles import End, Fault, by_second, fails

# The first of them waits for all cells to be played.
pytestmark = pytest.mark.timeout(900)

EMPTY: Final = Fault("insufficient_credit")


@dataclass(frozen=True)
class Wish:
    """What is asked for, by whose models it can be met as it is, and by whose not at all.

    `drawn`: the picture's pixels matter, too.
    """

    parameter: str
    asked: tuple[str, Any]
    met_by: frozenset[str]
    drawn: bool = False
    impossible_for: frozenset[str] = frozenset()

    def cells(self) -> list[Cell]:
        """Asked of those who can meet it, before all others; where it must be drawn, before those who cannot meet it."""
        pairs = [pair for pair in permutations(PROVIDERS, 2) if pair[0] in self.met_by]
        if self.drawn:
            pairs = [pair for pair in pairs if pair[1] not in self.met_by]
        name = "=".join(map(str, self.asked))
        return [Cell(f"{name} and an empty account", *pair, EMPTY, wishes=(self.asked,)) for pair in pairs]

    def end(self, second: str) -> End:
        """The second makes it, and says what it could not do; or it is not even asked."""
        if second in self.met_by:
            return by_second("provider_quota")
        if second in self.impossible_for:
            return fails("provider_quota")
        return replace(by_second("provider_quota"), adjusted=(self.parameter,))


WISHES: Final = (
    Wish("seed", ("traits", {"seed": 7}), frozenset({"replicate", "wavespeed"})),
    Wish("transparent", ("traits", {"transparent": True}), frozenset({"openai"})),
    Wish("quality", ("quality", "low"), frozenset({"openai"})),
    Wish("size", ("size", "1536x1536"), frozenset({"openai", "getimg", "wavespeed"}), drawn=True),
    # One makes nothing larger than 1536 pixels, and the other nothing larger than 1024: that would be enlarged too much.
    Wish("size", ("size", "2048x2048"), frozenset({"openai", "getimg"}), True, frozenset({"replicate"})),
)
WISH_CELLS: Final = [(wish, cell) for wish in WISHES for cell in wish.cells()]

# An empty account, and behind it somebody who fails, too, and how.
BOTH_FAIL: Final = [
    (code, Cell(f"{code} behind an empty account", first, second, EMPTY, fault))
    for code, fault in (
        ("model_gone", Fault("model_gone")),
        ("policy_refused", Fault("input_policy")),
        ("provider_quota", EMPTY),
    )
    for first, second in permutations(PROVIDERS, 2)
]


@pytest.fixture(scope="module")
async def seen(house: House) -> dict[str, End]:
    """What became of every cell; all are played at the same time, but those that must be drawn in their size."""
    wishes = [cell for wish, cell in WISH_CELLS if not wish.drawn]
    ends = await play_cells(house, [*wishes, *(cell for _, cell in BOTH_FAIL)])
    await house.sandbox.change(drawing="full")
    ends |= await play_cells(house, [cell for wish, cell in WISH_CELLS if wish.drawn])
    await house.sandbox.change(drawing="fast")
    return ends


@pytest.mark.parametrize(("wish", "cell"), WISH_CELLS, ids=[str(cell) for _, cell in WISH_CELLS])
async def test_a_wish_that_the_second_cannot_meet_is_told_as_an_adjustment(
    seen: dict[str, End], wish: Wish, cell: Cell
) -> None:
    assert seen[str(cell)] == wish.end(cell.second)


@pytest.mark.parametrize(("code", "cell"), BOTH_FAIL, ids=[str(cell) for _, cell in BOTH_FAIL])
async def test_a_picture_that_nobody_can_make_fails_as_the_last_one_failed_and_costs_nothing(
    seen: dict[str, End], code: str, cell: Cell
) -> None:
    end = seen[str(cell)]

    assert (end.status, end.code) == ("failed", code)
    assert (end.booked, end.charged) == (("no",), ())
    assert True not in end.second_charged
