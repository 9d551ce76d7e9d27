"""PostgreSQL away, silent or full: every call ends within seconds as DatabaseUnavailable, and the pool recovers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from db.engine import Database, DatabasePatience
from db.health import ping
from db.listener import Listener
from deploy.local import LocalStack, StackOptions
from errors import DatabaseUnavailable
from tests.integration.patience import PATIENT, waiting_for

# Only ends a broken test: each call has to end by itself long before.
HANGS_S = 60
POOL = 4


@pytest.fixture(scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    folder = tmp_path_factory.mktemp("postgres-outages")
    async with LocalStack(folder, services=frozenset({"postgres"}), options=StackOptions(fsync=False)) as stack:
        yield stack


@pytest.fixture
async def database(postgres: LocalStack) -> AsyncIterator[Database]:
    # Little, for a silence is waited out; and yet enough for a new connection on a machine that is busy with other tests.
    patience = DatabasePatience(connect_s=1.5, pool_s=1.5, command_s=1.5)
    database = Database(postgres.environment()["DIORAMA_DATABASE_URL"], pool_size=POOL, patience=patience)
    yield database
    await database.close()


@pytest.fixture
async def patient_database(postgres: LocalStack) -> AsyncIterator[Database]:
    database = Database(postgres.environment()["DIORAMA_DATABASE_URL"], pool_size=POOL, patience=PATIENT)
    yield database
    await database.close()


async def _transaction(database: Database) -> None:
    async with database.transaction() as session:
        await ping(session)


async def _row(database: Database) -> None:
    await database.fetch_row("select $1::int", 1)


Way = Callable[[Database], Awaitable[None]]
WAYS = pytest.mark.parametrize("way", [_transaction, _row])


async def answers(database: Database, *, times: int, way: Way = _transaction) -> list[bool]:
    """Whether PostgreSQL answered, to so many at once. Any error but DatabaseUnavailable comes out."""

    async def ask() -> bool:
        try:
            await way(database)
        except DatabaseUnavailable:
            return False
        return True

    async with asyncio.timeout(HANGS_S):
        return list(await asyncio.gather(*(ask() for _ in range(times))))


async def is_back(database: Database) -> None:
    """Return when it answers one: a server that goes on first serves all who gave it up while it was silent."""
    async with waiting_for("an answer of a server that goes on", HANGS_S):
        while await answers(database, times=1) != [True]:
            pass


@WAYS
async def test_a_pool_recovers_from_every_restart_without_a_failed_call(
    postgres: LocalStack, patient_database: Database, way: Way
) -> None:
    for _ in range(3):
        assert await answers(patient_database, times=2 * POOL, way=way) == [True] * 2 * POOL
        await postgres.kill("postgres")
        assert await answers(patient_database, times=2 * POOL, way=way) == [False] * 2 * POOL
        await postgres.start_service("postgres")

    assert await answers(patient_database, times=2 * POOL, way=way) == [True] * 2 * POOL


@WAYS
async def test_a_server_that_is_silent_counts_as_away_and_serves_again_when_it_goes_on(
    postgres: LocalStack, database: Database, way: Way
) -> None:
    await answers(database, times=POOL)
    postgres.pause("postgres")
    try:
        with_old_connections = await answers(database, times=2 * POOL, way=way)
        with_new_connections = await answers(database, times=2 * POOL, way=way)
    finally:
        postgres.resume("postgres")

    assert with_old_connections == with_new_connections == [False] * 2 * POOL
    await is_back(database)
    assert await answers(database, times=2 * POOL, way=way) == [True] * 2 * POOL


async def test_a_row_that_nobody_waits_for_any_more_leaves_no_connection_that_hangs(patient_database: Database) -> None:
    for _ in range(2 * POOL):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await patient_database.fetch_row("select pg_sleep(0.4)")

    assert await answers(patient_database, times=2 * POOL) == [True] * 2 * POOL


async def test_a_server_that_falls_silent_inside_a_transaction_is_not_waited_for(
    postgres: LocalStack, database: Database
) -> None:
    async def interrupted() -> None:
        async with database.transaction() as session:
            await ping(session)
            postgres.pause("postgres")
            await ping(session)

    try:
        async with asyncio.timeout(HANGS_S):
            with pytest.raises(DatabaseUnavailable):
                await interrupted()
    finally:
        postgres.resume("postgres")

    await is_back(database)
    assert await answers(database, times=POOL) == [True] * POOL


@pytest.mark.parametrize("sqlstate", ["53100", "53300", "57P03", "58030", "25P03"])
async def test_a_server_that_cannot_go_on_counts_as_away(database: Database, sqlstate: str) -> None:
    raising = f"do $$ begin raise exception using errcode = '{sqlstate}'; end $$"

    async def refused() -> None:
        async with database.transaction() as session:
            connection = await session.connection()
            await connection.execute(text(raising))

    with pytest.raises(DatabaseUnavailable):
        await refused()
    with pytest.raises(DatabaseUnavailable):
        await database.fetch_row(raising)


async def test_a_listener_wakes_everybody_when_it_listens_again(
    postgres: LocalStack, patient_database: Database
) -> None:
    listener = Listener(patient_database.url, ("outages",))
    async with listener.listening():
        with listener.subscribe("outages", "somebody") as woken:
            async with waiting_for("the first connection", HANGS_S):
                await woken.wait()
            woken.clear()
            await postgres.kill("postgres")
            await postgres.start_service("postgres")
            async with waiting_for("a connection after the restart", HANGS_S):
                await woken.wait()
            woken.clear()
            async with patient_database.transaction() as session:
                connection = await session.connection()
                await connection.execute(text("select pg_notify('outages', 'somebody')"))
            async with waiting_for("the notification", HANGS_S):
                await woken.wait()


async def test_a_listener_that_hears_nothing_finds_out_that_its_server_is_silent(
    postgres: LocalStack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.listener.ASK_EVERY_S", 0.1)
    # Little, for a silence is waited out; and yet enough for a new connection on a machine that is busy with other tests.
    monkeypatch.setattr("db.listener.ANSWER_WITHIN_S", 2)
    listener, lost = Listener(database.url, ("outages",)), asyncio.Event()
    listen_until_lost = listener._listen_until_lost

    async def watched() -> None:
        try:
            await listen_until_lost()
        finally:
            lost.set()

    # Not its log: whatever else runs in this process logs, too.
    monkeypatch.setattr(listener, "_listen_until_lost", watched)
    with listener.subscribe("outages", "somebody") as woken:
        async with asyncio.timeout(HANGS_S), listener.listening():
            await woken.wait()
            woken.clear()
            lost.clear()  # set on a busy machine, on which the first connection took too long
            postgres.pause("postgres")
            try:
                await lost.wait()
            finally:
                postgres.resume("postgres")
            await woken.wait()


async def test_a_listener_goes_on_when_something_inside_its_driver_is_canceled(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, failures = asyncpg.connect, [asyncio.CancelledError()]

    async def canceled_once(*given: Any, **named: Any) -> Any:
        if failures:
            raise failures.pop()
        return await connect(*given, **named)

    monkeypatch.setattr(asyncpg, "connect", canceled_once)
    listener = Listener(database.url, ("outages",))
    async with asyncio.timeout(HANGS_S), listener.listening():
        with listener.subscribe("outages", "somebody") as woken:
            await woken.wait()

    assert not failures


async def test_a_connection_that_is_lost_while_it_is_set_up_counts_as_an_absent_database(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash lab met it: PostgreSQL was killed between the handshake and the first setting of the session."""

    async def lost(*_given: object, **_named: object) -> None:
        raise asyncpg.InterfaceError("connection is closed")

    monkeypatch.setattr(asyncpg.Connection, "set_type_codec", lost)
    database = Database(postgres_url, pool_size=1)
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction() as session:
            await session.connection()
    await database.close()
