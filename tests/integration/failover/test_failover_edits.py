"""A picture that is made from another one goes on to the next provider as one that is made from words does."""

from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from itertools import permutations
from typing import Final

import pytest
from PIL import Image

from contracts.statuses import AssetRole, AssetState, Step
from db import assets
from db.models import Asset
from storage.base import NewObject, object_key
from storage.bodies import chunks_of
from tests.integration.failover.cell import Cell
from tests.integration.failover.house import PROVIDERS, House
from tests.integration.failover.matrix import play_cells
from tests.integration.failover.troubles import ANSWERS, JOBS, End, Fault, Trouble, by_first, by_second, fails
from tests.integration.test_ledger import a_generation

EDITS: Final = (
    Trouble("an edit and all is well", None, {PROVIDERS: by_first()}),
    Trouble("an edit and an empty account", Fault("insufficient_credit"), {PROVIDERS: by_second("provider_quota")}),
    Trouble("an edit and a model that is gone", Fault("model_gone"), {PROVIDERS: by_second("model_gone")}),
    Trouble(
        "an edit and words that are refused",
        Fault("input_policy"),
        {JOBS: fails("policy_refused", charged=(False,)), ANSWERS: fails("policy_refused")},
    ),
    Trouble(
        "an edit and a model that fails", Fault("model_error"), {JOBS: by_second("model_failed", charged=(False,))}
    ),
)
CELLS: Final = [
    (row, Cell(row.name, first, second, row.fault, family="edits"))
    for row in EDITS
    for first, second in permutations(PROVIDERS, 2)
    if row.end(first)
]


def expected(row: Trouble, cell: Cell) -> End | None:
    """As the row says; and who writes JPEG alone, where PNG is the usual, says so."""
    end = row.end(cell.first)
    if end is None or {"first": cell.first, "second": cell.second}.get(end.maker) != "wavespeed":
        return end
    return replace(end, adjusted=("output_format",))


async def stored_picture(house: House) -> str:
    """The id of a picture that lies in the store, as if its client had uploaded it."""
    body = BytesIO()
    Image.new("RGB", (1024, 1024), "teal").save(body, "PNG")
    digest = sha256(body.getvalue()).hexdigest()
    owner = await a_generation(house.tables)
    row = Asset(
        tenant_id=house.tables.tenant_id,
        generation_id=None,
        step=Step.input,
        role=AssetRole.input,
        key=object_key(house.tables.tenant_id, owner.id, "input", digest, "image/png"),
        content_type="image/png",
        size_bytes=body.tell(),
        sha256=digest,
        width=1024,
        height=1024,
    )
    await house.storage.put(NewObject(row.key, "image/png", digest), chunks_of(body.getvalue()), row.size_bytes)
    async with house.tables.database.transaction() as session:
        await assets.announce(session, row)
        await assets.mark(session, row.id, AssetState.stored)
    return str(row.id)


@pytest.fixture(scope="module")
async def seen(house: House) -> dict[str, End]:
    """What became of every cell; all are played before the first is looked at."""
    picture = await stored_picture(house)
    wishes = (("image_asset_ids", [picture]),)
    return await play_cells(house, [replace(cell, wishes=wishes) for _, cell in CELLS])


@pytest.mark.timeout(900)  # the first of them waits for all cells to be played
@pytest.mark.parametrize(("row", "cell"), CELLS, ids=[str(cell) for _, cell in CELLS])
async def test_an_edit_is_made_by_whom_the_trouble_allows_and_paid_as_it_says(
    seen: dict[str, End], row: Trouble, cell: Cell
) -> None:
    assert seen[str(cell)] == expected(row, cell)
