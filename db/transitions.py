"""The state machines: for each state, where it may be come from. The database refuses every other move (migration 0002).

spend        held ──► sent ──► submitted ──► settled
               │ ◄──────┤           │
               ▼        ├► unknown ◄┤        (may have been bought: people or the policy decide)
             released ◄─┴───────────┘        (nothing owed)

asset        pending ──► stored ──► deleting ──► deleted
                └──────────────────────▲

generation   queued ──► running ──► succeeded | failed | canceled | needs_review
               ▲ └───────────────────────────────▲ │ │
               └──────────── run once more ────────┴─┘
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from contracts.statuses import AssetState, SpendState, Status

State = TypeVar("State", bound=StrEnum)

SPEND: Final[Mapping[SpendState, tuple[SpendState, ...]]] = {
    SpendState.held: (SpendState.sent,),  # provably not bought: it may be sent again
    SpendState.sent: (SpendState.held,),
    SpendState.submitted: (SpendState.sent, SpendState.unknown),
    SpendState.settled: (SpendState.submitted, SpendState.sent, SpendState.unknown),
    SpendState.released: (SpendState.held, SpendState.sent, SpendState.submitted, SpendState.unknown),
    SpendState.unknown: (SpendState.sent, SpendState.submitted),
}
ASSET: Final[Mapping[AssetState, tuple[AssetState, ...]]] = {
    AssetState.pending: (),
    AssetState.stored: (AssetState.pending,),
    AssetState.deleting: (AssetState.pending, AssetState.stored),
    AssetState.deleted: (AssetState.deleting,),
}
GENERATION: Final[Mapping[Status, tuple[Status, ...]]] = {
    # An operator decided on a purchase, or the engine lost the run: its story is told once more from the ledger.
    Status.queued: (Status.needs_review, Status.running),
    Status.running: (Status.queued,),
    Status.succeeded: (Status.running,),
    Status.failed: (Status.queued, Status.running),
    Status.canceled: (Status.queued, Status.running),
    Status.needs_review: (Status.running,),
}


def repeatable(machine: Mapping[State, tuple[State, ...]], to: State) -> tuple[State, ...]:
    """The states from which a move to `to` is fine, `to` itself among them: for moves that may be repeated."""
    return (*machine[to], to)


def moves(machine: Mapping[State, tuple[State, ...]]) -> tuple[str, ...]:
    """All legal moves as `from>to`, sorted: the form in which the database holds them."""
    return tuple(sorted(f"{origin}>{to}" for to, origins in machine.items() for origin in origins))
