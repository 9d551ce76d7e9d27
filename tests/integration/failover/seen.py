"""What became of a cell: by our tables, by the store, and by the provider's own bill."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.statuses import Billed, SpendState, Status
from db.failovers import FAILOVER
from db.models import Event, Generation, Spend
from tests.integration.failover.cell import Cell
from tests.integration.failover.house import House
from tests.integration.failover.troubles import End, Maker

# By provider and words: whether each job that was accepted is billed.
Bills = Mapping[tuple[str, str], tuple[bool | None, ...]]


async def bills(house: House) -> Bills:
    """All of the sandbox."""
    found: dict[tuple[str, str], tuple[bool | None, ...]] = {}
    for row in await house.sandbox.charges():
        key = (row["provider"], row["prompt_sha256"])
        found[key] = (*found.get(key, ()), row["billed"])
    return found


async def seen_of(house: House, cell: Cell, generation_id: UUID, billed: Bills) -> End:
    """What is to be compared with the matrix."""
    async with house.tables.database.transaction() as session:
        generation = await session.get_one(Generation, generation_id)
        spends = await _spends(session, generation_id)
        reasons = await _reasons(session, generation_id)
    charged = {name: billed.get((name, cell.prompt_sha256), ()) for name in (cell.first, cell.second)}
    objects = [found.key async for found in house.storage.list_prefix(f"{generation.tenant_id}/{generation.id}/")]
    books = [_wrongly_booked([one for one in spends if one.provider == name], rows) for name, rows in charged.items()]
    amiss = (*books, _wrongly_closed(generation, spends), _wrongly_kept(generation, objects))
    pictures = (generation.result or {}).get("pictures", [])
    makers: dict[str, Maker] = {cell.first: "first", cell.second: "second"}
    return End(
        status=generation.status,
        maker=makers[pictures[0]["provider"]] if pictures else "nobody",
        code=(generation.error or {}).get("code") or ", ".join(reasons),
        booked=tuple(_booked(spend) for spend in spends if spend.provider == cell.first),
        charged=charged[cell.first],
        second_charged=charged[cell.second],
        duplicate=any(spend.possible_duplicate for spend in spends),
        adjusted=tuple(told["parameter"] for told in pictures[0]["adjustments"]) if pictures else (),
        amiss=tuple(filter(None, amiss)),
    )


async def _spends(session: AsyncSession, generation_id: UUID) -> Sequence[Spend]:
    query = select(Spend).where(Spend.generation_id == generation_id).order_by(col(Spend.purchase))
    return (await session.exec(query)).all()


async def _reasons(session: AsyncSession, generation_id: UUID) -> list[str]:
    """Why it went on to another provider, each time."""
    query = select(Event.data).where(Event.generation_id == generation_id, Event.type == FAILOVER)
    return [str(told["why"]) for told in (await session.exec(query.order_by(col(Event.seq)))).all()]


def _booked(spend: Spend) -> str:
    return "undecided" if spend.state is SpendState.unknown else str(spend.billed)


def _wrongly_booked(spends: Sequence[Spend], charged: Sequence[bool | None]) -> str:
    """What we book is what the provider bills, as far as it said so; and nothing that it bills is booked as free."""
    surely = sum(spend.billed is Billed.yes for spend in spends)
    perhaps = sum(spend.billed is Billed.unknown or spend.state is SpendState.unknown for spend in spends)
    paid = sum(one is True for one in charged)
    return "" if surely <= paid <= surely + perhaps else f"booked {surely} and perhaps {perhaps}, billed {paid}"


def _wrongly_closed(generation: Generation, spends: Sequence[Spend]) -> str:
    """Nothing is open unless people are to decide, and the cost is the sum of what the purchases did cost."""
    states = {spend.state for spend in spends}
    if generation.status is Status.needs_review:
        return "" if SpendState.unknown in states else f"nothing to decide in {states}"
    if states - {SpendState.settled, SpendState.released}:
        return f"still open: {states}"
    cost = sum((spend.cost_usd or Decimal(0) for spend in spends), Decimal(0))
    return "" if generation.cost_usd == cost else f"costs {generation.cost_usd}, its purchases {cost}"


def _wrongly_kept(generation: Generation, objects: Sequence[str]) -> str:
    """The store has the picture, if there is one, and nothing else."""
    wanted = int(generation.status is Status.succeeded)
    return "" if len(objects) == wanted else f"{len(objects)} objects instead of {wanted}"
