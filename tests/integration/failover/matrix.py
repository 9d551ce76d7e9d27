"""Plays the matrix: every trouble with every pair of providers, as much of it at the same time as can be."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import groupby, permutations
from typing import Any, Final
from uuid import UUID

from contracts.standing import LaneMode
from contracts.statuses import Status
from db import traffic
from db.standing_models import Lane
from tests.acceptance.fresh_standings import all_stand_well
from tests.integration.failover.cell import Cell
from tests.integration.failover.house import PROVIDERS, House
from tests.integration.failover.seen import Bills, bills, seen_of
from tests.integration.failover.troubles import End, Trouble

# More would only make each of them wait for the others; the slowest rows come first.
AT_ONCE: Final = 60
CELL_WITHIN_S: Final = 300.0


def cells_of(trouble: Trouble) -> list[Cell]:
    """The row's cells; none for a first provider that has no such answer."""
    pairs = [(first, second) for first, second in permutations(PROVIDERS, 2) if trouble.end(first)]
    more: dict[str, Any] = {"fault": trouble.fault, "family": trouble.family, "deadline_s": trouble.deadline_s}
    return [Cell(trouble.name, first, second, **more) for first, second in pairs]


async def play(house: House, troubles: Sequence[Trouble]) -> dict[str, End]:
    """What became of every cell, by its name."""
    at_once = [trouble for trouble in troubles if not trouble.shut and not trouble.lane]
    # The first row first and alone: an account of which nobody has ever bought would be read as proof.
    quiet, busy = (
        at_once[:1],
        sorted(at_once[1:], key=lambda row: row.fault is not None and row.fault.times is not None),
    )
    seen = await play_cells(house, [cell for trouble in quiet for cell in cells_of(trouble)])
    seen |= await play_cells(house, [cell for trouble in busy for cell in cells_of(trouble)])
    for trouble in troubles:
        if trouble.shut or trouble.lane:
            for first, row in groupby(cells_of(trouble), key=lambda cell: cell.first):
                seen |= await _play_alone(house, trouble, first, list(row))
    return seen


async def _play_alone(house: House, trouble: Trouble, first: str, cells: Sequence[Cell]) -> dict[str, End]:
    """Troubles that all purchases from a provider have."""
    await all_stand_well(house.tables.database)
    async with AsyncExitStack() as stack:
        if trouble.shut:
            await house.doors[first].shut()
            stack.push_async_callback(house.doors[first].open)
        if trouble.lane:
            await _close_lane(house, first, broken=trouble.lane == "broken")
            house.gate.is_in_use = True
            stack.callback(setattr, house.gate, "is_in_use", False)
        return await play_cells(house, cells)


async def _close_lane(house: House, provider: str, *, broken: bool) -> None:
    async with house.tables.database.transaction() as session:
        if broken:
            await traffic.record_fault(session, traffic.Fault(provider, "", "provider_unreachable", at_once=True))
        else:
            session.add(Lane(provider=provider, mode=LaneMode.paused))
    async with asyncio.timeout(60):
        while await house.gate.kept_out() != {provider}:  # noqa: ASYNC110 the board is read, it tells nobody
            await asyncio.sleep(0.02)


async def play_cells(house: House, cells: Sequence[Cell], *, at_once: int = AT_ONCE) -> dict[str, End]:
    """All these, so many of them at the same time."""
    for cell in cells:
        for name, fault in cell.faults:
            words = {"times": fault.times, "operation": fault.operation, "params": fault.params}
            await house.sandbox.arm(fault.name, provider=name, match=cell.mark, **words)
    room = asyncio.Semaphore(at_once)

    async def one(cell: Cell) -> UUID:
        async with room, asyncio.timeout(CELL_WITHIN_S):
            return await house.make(cell.request)

    ids = await asyncio.gather(*(one(cell) for cell in cells), return_exceptions=True)
    await house.sandbox.disarm()
    billed = await bills(house)
    return {str(cell): await _end(house, cell, ended, billed) for cell, ended in zip(cells, ids, strict=True)}


async def _end(house: House, cell: Cell, ended: UUID | BaseException, billed: Bills) -> End:
    if isinstance(ended, BaseException):  # the other cells are to be looked at all the same
        return End(Status.running, "nobody", amiss=(f"not ended: {ended!r}",))
    return await seen_of(house, cell, ended, billed)
