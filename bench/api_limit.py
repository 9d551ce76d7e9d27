"""What the API cannot be faster than: the same two routes of FastAPI, which only validate and insert, or read, one row.

`python -m bench.api_limit` serves them with the API's own settings, server, pool and table: no keys, no prices, no budgets, no
idempotency, no events, no engine.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Body, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import bindparam, select, text

from api.generation_answers import GenerationAnswer
from api.server import build_server
from config import load_settings
from contracts.requests import GenerationRequest
from db.columns import now
from db.engine import IMPATIENT, Database
from db.models import Generation
from db.prepared import as_model, run, table_of

TABLE: Final = table_of(Generation)
INSERT: Final = text(
    f"insert into generation ({', '.join(column.name for column in TABLE.columns)}) "  # noqa: S608 names of our own
    f"values ({', '.join(f':{column.name}' for column in TABLE.columns)})"
).bindparams(*(bindparam(column.name, type_=column.type) for column in TABLE.columns))
SELECT: Final = select(*TABLE.columns).where(TABLE.c.id == bindparam("wanted"))
TENANT: Final = text("select id from tenant limit 1")

router = APIRouter()


async def _database(request: Request) -> Database:
    database: Database = request.state.database
    return database


async def _tenant_id(request: Request) -> UUID:
    tenant_id: UUID = request.state.tenant_id
    return tenant_id


DatabaseDep = Annotated[Database, Depends(_database)]
TenantDep = Annotated[UUID, Depends(_tenant_id)]


@router.post("/v1/generations", status_code=202)
async def insert(
    database: DatabaseDep, tenant_id: TenantDep, request: Annotated[GenerationRequest, Body()]
) -> JSONResponse:
    """Validate, and insert one row, which commits by itself. It says that it was started, so that nobody starts it."""
    row = Generation(
        tenant_id=tenant_id,
        kind=request.kind,
        request=request.model_dump(mode="json"),
        request_hash="",
        quote_max_usd=Decimal(0),
        dispatched_at=now(),
    )
    async with database.statement() as session:
        await run(session, INSERT, row.model_dump())
    return JSONResponse({"id": str(row.id)}, 202)


@router.get("/v1/generations/{generation_id}")
async def read(database: DatabaseDep, generation_id: UUID) -> GenerationAnswer:
    """Read one row."""
    async with database.statement() as session:
        found = (await run(session, SELECT, {"wanted": generation_id})).mappings().one()
    row = as_model(Generation, found)
    assert row is not None  # noqa: S101 one() gave a row
    return GenerationAnswer.of(row)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """One pool, as the API has it."""
    database = Database(load_settings().database_url, application_name="bench-limit", patience=IMPATIENT)
    async with database.transaction() as session:
        tenant_id = (await run(session, TENANT, {})).scalar_one()
    yield {"database": database, "tenant_id": tenant_id}
    await database.close()


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings()
    app = FastAPI(lifespan=lifespan, telemetry={"tracing": False, "metrics": False, "logs": False})
    app.include_router(router)
    build_server(app, host=settings.api_host, port=settings.api_port, stopping=asyncio.Event()).run()


if __name__ == "__main__":
    main()
