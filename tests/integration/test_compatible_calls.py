"""Which call of a client in OpenAI's form is a repetition of which, in a real database."""

import asyncio
from datetime import timedelta

from sqlalchemy import func, text
from sqlmodel import select

from db import compatible_calls
from db.columns import now
from db.compatible_calls import ASKED_AGAIN_WITHIN, REPEATED_WITHIN, Incoming
from db.compatible_models import CompatibleCall
from db.keys import Caller
from tests.integration.conftest import Tables
from tests.integration.patience import waiting_for


class Client:
    """An application of a tenant."""

    def __init__(self, tables: Tables, key_id: str = "aaaaaaaaaaaa") -> None:
        self.database = tables.database
        self.caller = Caller(tables.tenant_id, key_id)

    async def call(self, attempt: int = 0, *, hash_: str = "h", key: str | None = None) -> CompatibleCall:
        async with self.database.transaction() as session:
            return await compatible_calls.begin(session, Incoming(self.caller, hash_, key, attempt))

    async def answered(self, call: CompatibleCall, *, ago: timedelta = timedelta(0)) -> None:
        async with self.database.transaction() as session:
            await compatible_calls.mark_answered(session, call.id)
            row = await session.get_one(CompatibleCall, call.id)
            row.answered_at = now() - ago
            session.add(row)

    async def aged(self, call: CompatibleCall, by: timedelta) -> None:
        async with self.database.transaction() as session:
            row = await session.get_one(CompatibleCall, call.id)
            row.created_at = now() - by
            session.add(row)


async def test_a_repetition_is_the_call_that_it_repeats_and_a_new_call_is_none(tables: Tables) -> None:
    client = Client(tables)
    first = await client.call()

    assert (await client.call(1)).id == first.id
    assert (await client.call(2)).id == first.id
    assert (await client.call(0)).id != first.id


async def test_other_words_other_applications_and_other_tenants_are_other_calls(tables: Tables) -> None:
    first = await Client(tables).call()

    assert (await Client(tables).call(1, hash_="other")).id != first.id
    assert (await Client(tables, "bbbbbbbbbbbb").call(1)).id != first.id


async def test_two_equal_calls_have_two_repetitions(tables: Tables) -> None:
    client = Client(tables)
    calls = {(await client.call()).id for _ in range(2)}

    assert {(await client.call(1)).id for _ in range(2)} == calls


async def test_repetitions_that_come_at_once_share_nothing(tables: Tables) -> None:
    client = Client(tables)
    calls = {(await client.call()).id for _ in range(8)}

    repeated = await asyncio.gather(*(client.call(1) for _ in range(8)))

    ids = [call.id for call in repeated]
    assert len(set(ids)) == 8
    assert set(ids) & calls


async def test_a_repetition_whose_call_never_came_is_a_call_of_its_own(tables: Tables) -> None:
    client = Client(tables)

    third = await client.call(3)

    assert (third.attempt, (await client.call(4)).id) == (4 - 1, third.id)


async def test_an_answer_that_was_lost_is_found_for_a_while_but_one_that_waits_goes_first(tables: Tables) -> None:
    client = Client(tables)
    old, answered, waiting = [await client.call() for _ in range(3)]
    await client.answered(old, ago=ASKED_AGAIN_WITHIN * 2)
    await client.answered(answered)

    assert (await client.call(1)).id == waiting.id
    assert (await client.call(1)).id == answered.id
    assert (await client.call(1)).id not in {old.id, answered.id, waiting.id}


async def test_a_repetition_does_not_reach_far_back(tables: Tables) -> None:
    client = Client(tables)
    first = await client.call()
    await client.aged(first, REPEATED_WITHIN * 2)

    assert (await client.call(1)).id != first.id


async def test_a_repetition_waits_for_whoever_holds_its_call_and_does_not_buy_again(tables: Tables) -> None:
    client = Client(tables)
    first = await client.call()
    async with tables.database.transaction() as holder:
        await holder.get_one(CompatibleCall, first.id, with_for_update=True)
        (pid,) = (await holder.exec(select(func.pg_backend_pid()))).all()
        repetition = asyncio.ensure_future(client.call(1))
        async with waiting_for("a repetition that is held up by its call"):
            while not repetition.done() and not await _held_up(tables, pid):  # noqa: ASYNC110 another session is to wait
                await asyncio.sleep(0.01)

    assert (await repetition).id == first.id


async def _held_up(tables: Tables, pid: int) -> bool:
    """Whether another session waits for this one."""
    async with tables.database.transaction() as session:
        connection = await session.connection()
        waiting = text("select count(*) from pg_stat_activity where :pid = any(pg_blocking_pids(pid))")
        return bool((await connection.execute(waiting, {"pid": pid})).scalar_one())


async def test_a_key_names_one_call_whatever_it_asks_for(tables: Tables) -> None:
    client = Client(tables)
    first = await client.call(hash_="with a mistake", key="mine")

    assert (await client.call(key="mine")).id == first.id
    assert (await client.call(1)).id != first.id
    assert (await Client(tables, "bbbbbbbbbbbb").call(key="mine")).id == first.id


async def test_a_call_to_be_tried_anew_is_forgotten_unless_its_client_named_it(tables: Tables) -> None:
    client = Client(tables)
    implied, named = await client.call(), await client.call(key="mine")
    async with tables.database.transaction() as session:
        for call in (implied, named):
            await compatible_calls.forget(session, call.id)

    assert (await client.call(1)).id != implied.id
    assert (await client.call(key="mine")).id == named.id


async def test_old_calls_are_purged(tables: Tables) -> None:
    client = Client(tables)
    old, new = await client.call(), await client.call()
    await client.aged(old, timedelta(days=8))
    async with tables.database.transaction() as session:
        await compatible_calls.purge(session, before=now() - timedelta(days=7), limit=100)
        mine = select(CompatibleCall.id).where(CompatibleCall.tenant_id == tables.tenant_id)
        left = (await session.exec(mine)).all()

    assert list(left) == [new.id]
