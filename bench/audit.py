"""Is everything accounted for? Rows against the provider's bill, and rows against the objects in the store."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.ledger_rows import LedgerRows
from bench.sandbox_books import SandboxBooks
from storage.base import ObjectStorage

PICTURES_PER_CHAIN = 2

Thing = TypeVar("Thing", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts of one phase. `failed`: asked for and not succeeded. `missing`: on one side of a comparison only."""

    asked: int
    failed: int
    bought: int
    charged: int
    rows: int
    objects: int
    missing: int

    @property
    def lost(self) -> int:
        """What should be zero."""
        return self.failed + self.missing


async def audited(
    names: Sequence[str], *, asked: int, ledger: LedgerRows, books: SandboxBooks, storage: ObjectStorage
) -> Audit:
    """Compare all sides for the chains `names`, of which `asked` were asked for; the books must hold nothing else."""
    succeeded = (await ledger.statuses(names)).get("succeeded", 0)
    bought, charged = await ledger.bought(names), await books.charged_jobs()
    stored = await ledger.stored(names)
    keys = [key for _, key in stored]
    objects = await _objects(storage, {tenant for tenant, _ in stored}, set(names))
    too_few = max(0, PICTURES_PER_CHAIN * succeeded - len(keys))
    return Audit(
        asked=asked,
        failed=asked - succeeded,
        bought=len(bought),
        charged=len(charged),
        rows=len(keys),
        objects=len(objects),
        missing=_differences(bought, charged) + _differences(keys, objects) + too_few,
    )


async def _objects(storage: ObjectStorage, tenants: set[str], names: set[str]) -> list[str]:
    """Keys are tenant/generation/picture: those of these generations."""
    keys = [found.key for tenant in tenants async for found in storage.list_prefix(f"{tenant}/")]
    return [key for key in keys if key.split("/")[1] in names]


def _differences(one: Iterable[Thing], other: Iterable[Thing]) -> int:
    """How many things have no partner on the other side."""
    ours, theirs = Counter(one), Counter(other)
    return (ours - theirs).total() + (theirs - ours).total()
