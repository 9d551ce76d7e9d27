"""The attacks themselves: a route that tells tenants of each other is found, and one that nobody knows is named."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlmodel import col, select

from api.dependencies import GenerateDep, ReadDep, ServicesDep
from config import Settings
from contracts.frozen import Frozen
from db.columns import now
from db.models import Generation
from errors import NotFound
from tests.integration.isolation.attacking import attack
from tests.integration.isolation.belongings import Belongings
from tests.integration.isolation.known_ways import UnknownWay, targets
from tests.integration.isolation.snapshots import snapshot
from tests.integration.isolation.surface import Door, doors
from tests.integration.patience import HTTP_S
from tests.integration.real_servers import api_in_front

NEW = APIRouter(prefix="/v1/new")


class Wish(Frozen):
    """A body that nobody knows."""

    picture_id: UUID


@NEW.get("/read/{generation_id}")
async def tell_of_anybody(services: ServicesDep, _caller: ReadDep, generation_id: UUID) -> dict[str, str]:
    async with services.database.transaction() as session:
        row = await session.get(Generation, generation_id)
    if row is None:
        raise NotFound("There is no such generation.")
    return {"session": row.session_id or ""}


@NEW.get("/refuse/{generation_id}")
async def tell_that_it_is_there(services: ServicesDep, caller: ReadDep, generation_id: UUID) -> dict[str, str]:
    async with services.database.transaction() as session:
        row = await session.get(Generation, generation_id)
    if row is None or row.tenant_id != caller.tenant_id:
        raise NotFound("There is no such generation." if row is None else "The generation is not yours.")
    return {}


@NEW.get("/list")
async def list_anybodys(services: ServicesDep, _caller: ReadDep, session: str = "") -> list[str]:
    async with services.database.transaction() as opened:
        found = await opened.exec(select(Generation.id).where(col(Generation.session_id) == session))
        return [str(one) for one in found.all()]


@NEW.delete("/change/{generation_id}")
async def change_anybodys(services: ServicesDep, _caller: GenerateDep, generation_id: UUID) -> None:
    async with services.database.transaction() as session:
        row = await session.get(Generation, generation_id)
        if row is not None:
            row.stage = f"touched at {now()}"
            session.add(row)


@NEW.get("/widgets/{widget_id}")
async def read_widget(widget_id: UUID) -> str:
    return str(widget_id)


@NEW.post("/wishes")
async def wish(wanted: Wish) -> str:
    return str(wanted.picture_id)


@NEW.post("/generations/{generation_id}/wishes")
async def wish_of(generation_id: UUID, wanted: Wish) -> str:
    return f"{generation_id} {wanted.picture_id}"


def new_doors() -> dict[str, Door]:
    app = FastAPI()
    app.include_router(NEW)
    return {str(door): door for door in doors(app) if door.path.startswith("/v1/new")}


NEW_DOORS: Final = new_doors()


@pytest.mark.parametrize(
    ("route", "sentence"),
    [
        ("GET /v1/new/widgets/{widget_id}", "If it names something of a tenant, say in THINGS"),
        ("POST /v1/new/wishes", "has the body parameter or field 'picture_id'"),
        ("POST /v1/new/generations/{generation_id}/wishes", "has the body parameter or field 'picture_id'"),
    ],
)
def test_a_route_that_nobody_knows_how_to_attack_is_named(route: str, sentence: str) -> None:
    with pytest.raises(UnknownWay, match=sentence):
        targets(NEW_DOORS[route])


@pytest.fixture(scope="module")
async def intruder(servers: Settings, attacker: Belongings) -> AsyncIterator[Belongings]:
    """The attacker, in front of an API with holes."""
    async with api_in_front(servers, more=[NEW]) as api:
        headers = {"Authorization": f"Bearer {attacker.tenant.key}"}
        async with httpx.AsyncClient(base_url=api.url, headers=headers, timeout=HTTP_S) as client:
            yield replace(attacker, tenant=replace(attacker.tenant, client=client))


async def learned_by(intruder: Belongings, victim: Belongings, route: str) -> list[str]:
    return [told for target in targets(NEW_DOORS[route]) for told in await attack(target, intruder, victim)]


@pytest.mark.parametrize(
    ("route", "told"),
    [
        ("GET /v1/new/read/{generation_id}", "the answer shows 'session-"),
        ("GET /v1/new/refuse/{generation_id}", "is another tenant's, and is answered with (404"),
        ("GET /v1/new/list", "is another tenant's, and is answered with (200"),
    ],
)
async def test_a_route_that_tells_tenants_of_each_other_is_found(
    intruder: Belongings, victim: Belongings, route: str, told: str
) -> None:
    learned = await learned_by(intruder, victim, route)

    assert any(told in sentence for sentence in learned), learned


async def test_a_route_that_changes_what_is_anothers_is_found(intruder: Belongings, owner: Belongings) -> None:
    before = await snapshot(owner.tenant)
    learned = await learned_by(intruder, owner, "DELETE /v1/new/change/{generation_id}")

    assert learned == [], "its answers tell nothing"
    assert set(before.changes(await snapshot(owner.tenant))) == {"generation"}
