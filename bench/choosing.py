"""What it costs to choose: planning a step with 50 models, after a million purchases.

    python -m bench.choosing [--quick] [--json]

Starts a PostgreSQL of its own, fills it, and times what a worker does when it plans a step: to read how all stand, and to put the
models in order; and what it does when the step is planned anew after a failure: to look up what was tried, too. Exit code 1 when
one of them takes longer than its limit, or when the database looks at other purchases than the picture's own, or at old traffic.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import text
from uuid_utils.compat import uuid7

from activities.planning import Planner
from activities.standing_board import StandingBoard
from bench.percentiles import Spread
from contracts.pictures import Candidate
from contracts.requests import AvatarRequest, planned_pictures
from contracts.standing import Standings
from contracts.statuses import Step
from db import failovers, standings
from db.columns import now
from db.engine import Database, DatabasePatience
from db.listener import Listener
from deploy.local import LocalStack, StackOptions
from providers.catalog import Catalog

LIMIT_P95_MS: Final = 5.0
LIMITED: Final = ("plan a step, as a worker does", "plan it anew after a failure")
MODELS: Final = 50
MINUTES: Final = 24 * 60  # what is kept of traffic
ROUNDS: Final = 1000
STEPS_PER_SECOND: Final = 40  # what a worker plans when it is busy
REQUEST: Final = AvatarRequest.model_validate(
    {"kind": "avatar", "avatar": {"description": "a fox"}, "strategy": "balanced"}
)
TENANT: Final = UUID(int=1)
GENERATION: Final = UUID(int=2)

FILL_TENANT: Final = "insert into tenant (id, name, created_at) values (:tenant, 'bench', now())"
FILL_GENERATIONS: Final = """
    insert into generation (id, tenant_id, kind, status, stage, progress, request, tags, request_hash, acceptance, run,
        quote_max_usd, event_seq, created_at)
    select case when n = 0 then cast(:generation as uuid) else gen_random_uuid() end, :tenant, 'avatar', 'queued', '', 0, '{}', '{}',
        '', '{}', 1, 1, 0, now()
    from generate_series(0, :generations) as n
"""
FILL_SPENDS: Final = """
    insert into spend (id, tenant_id, generation_id, step, purchase, state, provider, model, token, prompt, prompt_name,
        prompt_version, prompt_hash, hold_usd, cost_usd, billed, possible_duplicate, lease, lease_until, deadline_at, sends,
        provider_job_id, created_at, sent_at, submitted_at, ended_at)
    select gen_random_uuid(), :tenant, g.id, 'avatar', n, 'settled', 'p' || n % 10, 'm', gen_random_uuid()::text, '', '', '', '',
        1, 1, 'yes', false, 1, now(), now(), 1, gen_random_uuid()::text, now(), now(), now(), now()
    from generation as g, generate_series(1, :each) as n
"""
FILL_TRAFFIC: Final = """
    insert into traffic (provider, model, minute, successes, failures, busy, took)
    select provider, model, date_trunc('minute', now()) - make_interval(mins => age), 40, 1, 0,
        array(select (random() * 3)::int from generate_series(1, 40))
    from (select 'p' || n % 10 as provider, 'm' || n as model from generate_series(1, :models) as n
        union all select 'p' || n, '' from generate_series(0, 9) as n) as who, generate_series(0, :minutes) as age
"""


class Choosing:
    """A worker's planning over a filled database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._planner = fifty_models()

    async def fill(self, spends: int) -> None:
        """A million purchases, a day of traffic, and statistics of both."""
        each = 100
        async with self._database.transaction() as session:
            connection = await session.connection()
            values = {"tenant": TENANT, "generation": GENERATION, "generations": spends // each - 1, "each": each}
            for statement in (FILL_TENANT, FILL_GENERATIONS, FILL_SPENDS, FILL_TRAFFIC):
                known = values | {"models": MODELS, "minutes": MINUTES}
                await connection.execute(
                    text(statement), {name: known[name] for name in known if f":{name}" in statement}
                )
            await connection.execute(text("analyze"))

    async def read(self) -> Standings:
        """How all stand, as a worker reads it once a second."""
        async with self._database.statement() as session:
            return await standings.read(session)

    async def plan(self, known: Standings) -> tuple[Candidate, ...]:
        """Who can make the picture, in order."""
        (found,) = self._planner.plan(uuid7(), REQUEST, planned_pictures(REQUEST), known)
        if len(found) != MODELS:
            raise AssertionError(f"{len(found)} models instead of {MODELS}")
        return found

    async def plan_as_a_worker(self, board: StandingBoard) -> None:
        """The same with standings that are a second old at most."""
        await self.plan(await board.standings())

    async def tried(self) -> None:
        """What was bought for a picture before, as it is asked after a failure."""
        async with self._database.statement() as session:
            await failovers.failed_models(session, GENERATION, Step.avatar)

    async def plan_anew(self, board: StandingBoard, plan: tuple[Candidate, ...]) -> None:
        """The rest of a plan in order, after a failure; as a worker does it."""
        known = await board.standings()
        await self.tried()
        self._planner.ordered(GENERATION, REQUEST, plan[1:], known)

    async def looks(self) -> dict[str, str]:
        """What the database looks at: for how all stand, and for what was tried."""
        asked = failovers.without_picture().params(generation_id=GENERATION, step=Step.avatar)
        tried = asked.compile(compile_kwargs={"literal_binds": True})
        return {
            "standings": await self._explained(str(standings.statement()), since=standings.since(now())),
            "tried": await self._explained(str(tried)),
        }

    async def _explained(self, statement: str, **values: object) -> str:
        async with self._database.statement() as session:
            connection = await session.connection()
            lines = await connection.execute(text(f"explain {statement}"), values)
            return "\n".join(line[0] for line in lines)


def fifty_models() -> Planner:
    """A planner over models like those of the catalog, ten providers of five each."""
    shipped = Catalog.load()
    pattern = next(entry for entry in shipped.models if "text_to_image" in entry.capabilities and entry.automatic)
    vendor = shipped.provider(pattern.provider)
    providers = tuple(vendor.model_copy(update={"name": f"p{number}"}) for number in range(10))
    models = tuple(
        pattern.model_copy(
            update={
                "provider": f"p{number % 10}",
                "model": f"m{number}",
                "family": f"f{number}",
                "preference": number,
                "quality_rank": 1 + number % 10,
                "typical_s": 2 + number,
            }
        )
        for number in range(1, MODELS + 1)
    )
    configured = frozenset(provider.name for provider in providers)
    return Planner(Catalog(providers, models), configured=configured, review_above_usd=Decimal(1))


async def timed(work: Callable[[], Awaitable[object]], rounds: int, *, pause_s: float = 0) -> Spread:
    """How long `work` takes, one after the other, with pauses in between that do not count."""
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        await work()
        seconds.append(time.perf_counter() - begun)
        await asyncio.sleep(pause_s)
    return Spread.of_seconds(seconds)


async def measure(folder: Path, *, spends: int, rounds: int) -> tuple[dict[str, Spread], dict[str, str]]:
    """The figures, and what the database looks at."""
    services = frozenset({"postgres", "migrations"})
    async with LocalStack(folder, services=services, options=StackOptions(fsync=False)) as stack:
        patience = DatabasePatience(command_s=600)
        database = Database(stack.environment()["DIORAMA_DATABASE_URL"], pool_size=2, patience=patience)
        choosing = Choosing(database)
        await choosing.fill(spends)
        board = StandingBoard(database, Listener(stack.environment()["DIORAMA_DATABASE_URL"], ()))
        figures, looks = await timings(choosing, board, rounds), await choosing.looks()
        await database.close()
    return figures, looks


async def timings(choosing: Choosing, board: StandingBoard, rounds: int) -> dict[str, Spread]:
    """Each thing that choosing is made of, and the whole of it."""
    known = await choosing.read()
    plan = await choosing.plan(known)

    async def whole() -> None:
        await choosing.plan(await choosing.read())

    async def as_a_worker(work: Callable[[], Awaitable[object]]) -> Spread:
        return await timed(work, rounds, pause_s=1 / STEPS_PER_SECOND)

    return {
        "read how all stand": await timed(choosing.read, rounds),
        "put 50 models in order": await timed(lambda: choosing.plan(known), rounds),
        "plan a step, all read anew": await timed(whole, rounds),
        "look up what was tried": await timed(choosing.tried, rounds),
        "plan a step, as a worker does": await as_a_worker(lambda: choosing.plan_as_a_worker(board)),
        "plan it anew after a failure": await as_a_worker(lambda: choosing.plan_anew(board, plan)),
    }


def faults(figures: Mapping[str, Spread], looks: Mapping[str, str]) -> list[str]:
    """What is not as it has to be."""
    slow = [f"{name}: p95 is above {LIMIT_P95_MS:g} ms" for name in LIMITED if figures[name].p95 > LIMIT_P95_MS]
    standing, tried = looks["standings"], looks["tried"]
    if "ix_traffic_minute" not in standing or "Seq Scan on traffic" in standing or "spend" in standing:
        slow.append(f"how all stand is not read by the last minutes alone:\n{standing}")
    if "Index" not in tried or "Seq Scan" in tried:
        slow.append(f"what was tried is not read by an index:\n{tried}")
    return slow


def main() -> int:
    """Entry of `python -m bench.choosing`."""
    arguments = argparse.ArgumentParser(description="What it costs to choose.")
    arguments.add_argument("--quick", action="store_true", help="20,000 purchases, 100 rounds")
    arguments.add_argument("--json", action="store_true", help="the last line is one JSON object")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-choosing-") as folder:
        spends, rounds = (20_000, 100) if given.quick else (1_000_000, ROUNDS)
        figures, looks = asyncio.run(measure(Path(folder), spends=spends, rounds=rounds))
    print(f"{spends:,} purchases, {MODELS} models, a day of traffic; milliseconds")
    for name, spread in figures.items():
        limit = f"   limit {LIMIT_P95_MS:g}" if name in LIMITED else ""
        print(f"  {name:30} p50 {spread.p50:7.2f}   p95 {spread.p95:7.2f}   p99 {spread.p99:7.2f}{limit}")
    found = faults(figures, looks)
    print("\n".join(found) or "  each limit is kept, and each statement goes by its index")
    if given.json or os.environ.get("JSON") == "1":
        print(json.dumps({name.replace(" ", "_").replace(",", ""): spread.p95 for name, spread in figures.items()}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
