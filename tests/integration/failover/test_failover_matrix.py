"""Every trouble that a first provider can have, with every other one behind it: who makes the picture, and who is paid."""

from datetime import timedelta

import pytest

from activities import keeping
from tests.integration.failover.cell import Cell
from tests.integration.failover.house import House
from tests.integration.failover.matrix import cells_of, play
from tests.integration.failover.troubles import TROUBLES, End, Trouble

CELLS = [(trouble, cell) for trouble in TROUBLES for cell in cells_of(trouble)]


@pytest.fixture(scope="module")
async def seen(house: House) -> dict[str, End]:
    """What became of every cell; all are played before the first is looked at."""
    with pytest.MonkeyPatch.context() as patch:
        # A file that is not there is waited for as long as the provider can still have it: here, not at all.
        patch.setattr(keeping, "OUTPUTS_KEPT", timedelta(0))
        return await play(house, TROUBLES)


@pytest.mark.timeout(900)  # the first of them waits for all cells to be played
@pytest.mark.parametrize(("trouble", "cell"), CELLS, ids=[str(cell) for _, cell in CELLS])
async def test_a_picture_is_made_by_whom_the_trouble_allows_and_paid_as_it_says(
    seen: dict[str, End], trouble: Trouble, cell: Cell
) -> None:
    assert seen[str(cell)] == trouble.end(cell.first)
