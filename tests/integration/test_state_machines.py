"""The database itself lets a row go the ways that db/transitions.py draws, and no other: told in plain SQL, past our code."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from contracts.statuses import AssetState, SpendState, Status
from db import transitions
from tests.integration.conftest import Tables
from tests.integration.test_ledger import a_generation, an_order, claimed

Columns = Mapping[str, str]


@dataclass(frozen=True)
class Machine:
    """`ways`: how to come to a state from the first one; `with_`: what a row in a state must have, as SQL."""

    table: str
    column: str
    origins: Mapping[Any, tuple[Any, ...]]
    ways: Mapping[Any, tuple[Any, ...]]
    with_: Mapping[Any, Columns]


SENT = {"sent_at": "now()", "ended_at": "null", "billed": "null", "cost_usd": "null", "provider_job_id": "null"}
SPEND = Machine(
    "spend",
    "state",
    transitions.SPEND,
    {
        SpendState.held: (),
        SpendState.sent: (SpendState.sent,),
        SpendState.submitted: (SpendState.sent, SpendState.submitted),
        SpendState.settled: (SpendState.sent, SpendState.settled),
        SpendState.released: (SpendState.released,),
        SpendState.unknown: (SpendState.sent, SpendState.unknown),
    },
    {
        SpendState.held: SENT | {"sent_at": "null"},
        SpendState.sent: SENT,
        SpendState.submitted: SENT | {"provider_job_id": "'job'"},
        SpendState.settled: SENT | {"ended_at": "now()", "billed": "'yes'", "cost_usd": "0.01"},
        SpendState.released: SENT | {"ended_at": "now()", "billed": "'no'", "cost_usd": "0"},
        SpendState.unknown: SENT | {"billed": "'unknown'"},
    },
)
KEPT = {"stored_at": "now()", "deleted_at": "null"}
ASSET = Machine(
    "asset",
    "state",
    transitions.ASSET,
    {
        AssetState.pending: (),
        AssetState.stored: (AssetState.stored,),
        AssetState.deleting: (AssetState.deleting,),
        AssetState.deleted: (AssetState.deleting, AssetState.deleted),
    },
    {
        AssetState.pending: {"stored_at": "null", "deleted_at": "null"},
        AssetState.stored: KEPT,
        AssetState.deleting: KEPT,
        AssetState.deleted: KEPT | {"deleted_at": "now()"},
    },
)
LIVE = {"finished_at": "null", "result": "null", "error": "null"}
ENDED = LIVE | {"finished_at": "now()"}
GENERATION = Machine(
    "generation",
    "status",
    transitions.GENERATION,
    {
        Status.queued: (),
        Status.running: (Status.running,),
        Status.succeeded: (Status.running, Status.succeeded),
        Status.failed: (Status.failed,),
        Status.canceled: (Status.canceled,),
        Status.needs_review: (Status.running, Status.needs_review),
    },
    {
        Status.queued: LIVE,
        Status.running: LIVE,
        Status.succeeded: ENDED | {"result": """'{"pictures": []}'"""},
        Status.failed: ENDED,
        Status.canceled: ENDED,
        Status.needs_review: ENDED,
    },
)
MACHINES = (SPEND, ASSET, GENERATION)
NEW_ASSET = """
insert into asset (id, tenant_id, generation_id, step, role, state, key, content_type, size_bytes, sha256, width, height, created_at)
values (:id, :tenant_id, :generation_id, 'avatar', 'picture', 'pending', :key, 'image/png', 1, '0', 1, 1, now())
"""
DRAWN = "select tgargs from pg_trigger where tgname = :name"


async def tell(tables: Tables, statement: str, **values: Any) -> list[Any]:
    async with tables.database.transaction() as session:
        result = await (await session.connection()).execute(text(statement), values)
        return list(result.scalars()) if result.returns_rows else []


async def a_row(tables: Tables, machine: Machine) -> UUID:
    """A row in the machine's first state."""
    generation = await a_generation(tables)
    if machine is GENERATION:
        return generation.id
    if machine is SPEND:
        return (await claimed(tables, an_order(generation))).id
    asset_id = uuid4()
    owner = {"tenant_id": tables.tenant_id, "generation_id": generation.id}
    await tell(tables, NEW_ASSET, id=asset_id, key=str(asset_id), **owner)
    return asset_id


async def move(tables: Tables, machine: Machine, row: UUID, to: StrEnum) -> None:
    columns = {machine.column: f"'{to}'", **machine.with_[to]}
    changes = ", ".join(f"{name} = {value}" for name, value in columns.items())
    await tell(tables, f"update {machine.table} set {changes} where id = :id", id=row)  # noqa: S608 words of this file


@pytest.mark.parametrize(
    ("machine", "here", "there"),
    [
        pytest.param(machine, here, there, id=f"{machine.table} {here} to {there}")
        for machine in MACHINES
        for here, there in product(machine.origins, machine.origins)
    ],
)
async def test_the_database_lets_a_row_go_exactly_the_ways_that_are_drawn(
    tables: Tables, machine: Machine, here: StrEnum, there: StrEnum
) -> None:
    row = await a_row(tables, machine)
    for state in machine.ways[here]:
        await move(tables, machine, row, state)

    if here in machine.origins[there] or here == there:
        await move(tables, machine, row, there)
        reached = there
    else:
        with pytest.raises(IntegrityError, match=f"{machine.table}: {here} cannot become {there}"):
            await move(tables, machine, row, there)
        reached = here

    query = f"select {machine.column} from {machine.table} where id = :id"  # noqa: S608 words of this file
    assert await tell(tables, query, id=row) == [reached]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.table)
async def test_the_triggers_hold_the_moves_of_the_code(tables: Tables, machine: Machine) -> None:
    (arguments,) = await tell(tables, DRAWN, name=f"{machine.table}_{machine.column}_moves")
    drawn = bytes(arguments).decode().rstrip("\0").split("\0")

    assert tuple(sorted(drawn)) == transitions.moves(machine.origins)


BROKEN = {
    "sent without a time": (SPEND, SpendState.sent, {"sent_at": "null"}),
    "submitted without a job or an answer": (SPEND, SpendState.submitted, {"provider_job_id": "null"}),
    "settled without a cost": (SPEND, SpendState.settled, {"cost_usd": "null"}),
    "settled although nothing is billed": (SPEND, SpendState.settled, {"billed": "'no'"}),
    "released at a cost": (SPEND, SpendState.released, {"cost_usd": "0.01"}),
    "ended without a time": (SPEND, SpendState.released, {"ended_at": "null"}),
    "a cost below nothing": (SPEND, SpendState.settled, {"cost_usd": "-1"}),
    "stored without a time": (ASSET, AssetState.stored, {"stored_at": "null"}),
    "deleted without a time": (ASSET, AssetState.deleted, {"deleted_at": "null"}),
    "a success without a result": (GENERATION, Status.succeeded, {"result": "null"}),
    "a success with an error": (GENERATION, Status.succeeded, {"error": "'{}'"}),
    "an end without a time": (GENERATION, Status.failed, {"finished_at": "null"}),
}


@pytest.mark.parametrize(("machine", "state", "flaw"), BROKEN.values(), ids=BROKEN.keys())
async def test_the_database_refuses_a_state_that_lacks_what_belongs_to_it(
    tables: Tables, machine: Machine, state: StrEnum, flaw: Columns
) -> None:
    row = await a_row(tables, machine)
    *before, _ = machine.ways[state]
    for passed in before:
        await move(tables, machine, row, passed)
    columns = {machine.column: f"'{state}'", **machine.with_[state], **flaw}
    changes = ", ".join(f"{name} = {value}" for name, value in columns.items())

    with pytest.raises(IntegrityError, match=f"ck_{machine.table}_"):
        await tell(tables, f"update {machine.table} set {changes} where id = :id", id=row)  # noqa: S608 words of this file
