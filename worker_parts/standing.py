"""How this worker knows, and tells, how providers stand: the board, the gate, the witness, the prober and pauses."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from prometheus_client import REGISTRY

from activities.gate_metrics import GateMetrics
from activities.prober import Prober
from activities.purchase_gate import PurchaseGate
from activities.read_pauses import ReadPauses
from activities.standing_board import StandingBoard
from activities.witness import Witness
from db.engine import Database
from db.listener import Listener
from providers.base import ImageProvider
from providers.catalog import Catalog


@dataclass(frozen=True, slots=True)
class StandingParts:
    """What the activities are given."""

    board: StandingBoard
    gate: PurchaseGate
    witness: Witness
    pauses: ReadPauses


async def open_standing(
    database: Database,
    listener: Listener,
    catalog: Catalog,
    providers: Mapping[str, ImageProvider],
    stack: AsyncExitStack,
) -> StandingParts:
    """Begin to notice, to write and to probe; `stack` ends it, before the database is closed."""
    board = StandingBoard(database, listener)
    witness = Witness(database, board)
    await stack.enter_async_context(board.noticing())
    await stack.enter_async_context(witness.writing())
    await stack.enter_async_context(Prober(database, board, providers, catalog=catalog).probing())
    gate = PurchaseGate(database, board, metrics=GateMetrics(REGISTRY))
    return StandingParts(board=board, gate=gate, witness=witness, pauses=ReadPauses(database, board))
