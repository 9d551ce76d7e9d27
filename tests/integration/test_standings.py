"""How providers stand in a real database: what workers record is what all of them read, and breakers move once."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text, update
from sqlmodel import col, select

from contracts.names import CHANNEL_STANDING
from contracts.standing import BreakerState, Standing
from db import breakers, latency, standings, traffic
from db.breaker_rule import RULES
from db.columns import now
from db.listener import Listener
from db.standing_models import Breaker, ProviderEvent, TrafficMinute
from db.traffic import Fault, Tally
from tests.integration.conftest import Tables


@pytest.fixture
def provider() -> str:
    """A provider of this test's own."""
    return f"test-{uuid4().hex[:8]}"


async def standing(tables: Tables, provider: str, model: str = "") -> Standing:
    async with tables.database.statement() as session:
        return (await standings.read(session)).of(provider, model)


async def succeed(tables: Tables, provider: str, *took: float) -> None:
    async with tables.database.transaction() as session:
        await traffic.record_tallies(session, {(provider, "m"): Tally(successes=len(took), took=list(took))})


async def fail(tables: Tables, provider: str, model: str = "", *, times: int = 1, at_once: bool = False) -> None:
    for _ in range(times):
        async with tables.database.transaction() as session:
            await traffic.record_fault(session, Fault(provider, model, "provider_unreachable", at_once=at_once))


async def probe(tables: Tables, provider: str, *, well: bool) -> None:
    async with tables.database.transaction() as session:
        await breakers.record_probe(session, (provider, ""), well=well)


async def events_of(tables: Tables, provider: str) -> list[str]:
    async with tables.database.transaction() as session:
        query = select(ProviderEvent.type).where(ProviderEvent.provider == provider).order_by(col(ProviderEvent.id))
        return list((await session.exec(query)).all())


async def age(tables: Tables, provider: str, minutes: int) -> None:
    """As if the traffic so far were so much older."""
    earlier = col(TrafficMinute.minute) - timedelta(minutes=minutes)
    async with tables.database.transaction() as session:
        mine = col(TrafficMinute.provider) == provider
        await session.exec(update(TrafficMinute).where(mine).values(minute=earlier))


async def is_due(tables: Tables, provider: str, *, in_s: float = -1) -> None:
    """As if the pause were over, or ended only then."""
    async with tables.database.transaction() as session:
        mine = col(Breaker.provider) == provider
        await session.exec(update(Breaker).where(mine).values(retry_at=now() + timedelta(seconds=in_s)))


async def test_who_is_unknown_stands_well(tables: Tables, provider: str) -> None:
    assert await standing(tables, provider, "m") == Standing(provider=provider, model="m")


async def test_finished_pictures_count_for_the_model_and_for_its_provider(tables: Tables, provider: str) -> None:
    await asyncio.gather(*(succeed(tables, provider, 2.0, 2.0) for _ in range(5)))

    for model in ("m", ""):
        row = (await standing(tables, provider, model)).traffic
        assert (row.successes, row.samples, row.success_rate) == (10, 10, 1.0)
        assert row.p50_s == pytest.approx(2.0, rel=latency.GROWTH - 1)


async def test_a_failure_counts_where_its_cause_is(tables: Tables, provider: str) -> None:
    await succeed(tables, provider, 1.0)
    await fail(tables, provider, "m")
    await fail(tables, provider, times=3)

    assert (await standing(tables, provider, "m")).traffic.failures == 1
    assert (await standing(tables, provider)).traffic.failures == 3


async def test_only_the_last_minutes_count(tables: Tables, provider: str) -> None:
    await succeed(tables, provider, 1.0)
    await age(tables, provider, 7)

    assert (await standing(tables, provider, "m")).traffic.successes == 0


async def test_times_are_of_the_newest_minutes_and_what_was_before_is_told_as_usual(
    tables: Tables, provider: str
) -> None:
    await succeed(tables, provider, *[1.0] * 50)
    await age(tables, provider, 2)
    await succeed(tables, provider, *[10.0] * 10)
    row = (await standing(tables, provider, "m")).traffic

    assert row.p50_s == pytest.approx(10.0, rel=0.3)
    assert row.usual_s == pytest.approx(1.0, rel=0.3)
    assert (row.successes, row.samples) == (60, 10)


async def test_a_few_new_times_are_seen_together_with_older_ones(tables: Tables, provider: str) -> None:
    await succeed(tables, provider, *[1.0] * 20)
    await age(tables, provider, 2)
    await succeed(tables, provider, 10.0)
    row = (await standing(tables, provider, "m")).traffic

    assert row.p50_s == pytest.approx(1.0, rel=0.3)
    assert row.usual_s is None


async def test_five_failures_open_the_breaker_once_and_tell_of_it(tables: Tables, provider: str) -> None:
    await succeed(tables, provider, *[1.0] * 100)
    await fail(tables, provider, times=4)
    before = (await standing(tables, provider)).breaker
    await asyncio.gather(*(fail(tables, provider) for _ in range(20)))

    assert (before, (await standing(tables, provider)).breaker) == (BreakerState.closed, BreakerState.open)
    assert await events_of(tables, provider) == ["breaker.opened"]
    assert (await standing(tables, provider, "m")).breaker is BreakerState.closed


async def test_a_model_can_be_out_of_order_while_its_provider_is_not(tables: Tables, provider: str) -> None:
    await fail(tables, provider, "m", times=5)

    assert (await standing(tables, provider, "m")).breaker is BreakerState.open
    assert (await standing(tables, provider)).breaker is BreakerState.closed


async def test_a_picture_in_between_begins_the_count_anew(tables: Tables, provider: str) -> None:
    await succeed(tables, provider, *[1.0] * 100)
    await fail(tables, provider, times=4)
    await succeed(tables, provider, 1.0)
    await fail(tables, provider, times=4)

    assert (await standing(tables, provider)).breaker is BreakerState.closed


async def test_a_refused_key_opens_the_breaker_at_once(tables: Tables, provider: str) -> None:
    await fail(tables, provider, at_once=True)

    assert (await standing(tables, provider)).breaker is BreakerState.open


async def test_it_closes_after_a_probe_and_two_pictures_and_one_failure_does_not_open_it_again(
    tables: Tables, provider: str
) -> None:
    await fail(tables, provider, times=5)
    await probe(tables, provider, well=True)
    await succeed(tables, provider, 1.0, 1.0)
    await fail(tables, provider)  # the window still holds the five from before

    assert (await standing(tables, provider)).breaker is BreakerState.closed
    assert await events_of(tables, provider) == ["breaker.opened", "breaker.half_opened", "breaker.closed"]


async def test_a_failed_probe_leaves_it_open_for_longer(tables: Tables, provider: str) -> None:
    await fail(tables, provider, times=5)
    before = now()
    await probe(tables, provider, well=False)
    async with tables.database.transaction() as session:
        row = (await session.exec(select(Breaker).where(Breaker.provider == provider))).one()

    assert (row.state, row.openings) == (BreakerState.open, 2)
    assert row.retry_at is not None
    assert row.retry_at >= before + RULES.pause(2)


async def claim(tables: Tables, *providers: str) -> list[tuple[str, str]]:
    async with tables.database.transaction() as session:
        return list(await breakers.claim_probes(session, providers))


async def test_one_process_probes_at_a_time_and_only_when_the_pause_is_over(tables: Tables, provider: str) -> None:
    before = now()
    await fail(tables, provider, times=5)
    async with tables.database.transaction() as session:
        row = (await session.exec(select(Breaker).where(Breaker.provider == provider))).one()
    await is_due(tables, provider, in_s=3600)
    too_early = await claim(tables, provider)
    await is_due(tables, provider)
    claims = await asyncio.gather(*(claim(tables, provider) for _ in range(5)))

    assert row.retry_at is not None
    assert row.retry_at >= before + RULES.pause(1)
    assert too_early == []
    assert sorted(claims) == [[], [], [], [], [(provider, "")]]


async def test_nobody_probes_a_provider_that_it_has_no_key_for(tables: Tables, provider: str) -> None:
    await fail(tables, provider, times=5)
    await is_due(tables, provider)

    assert await claim(tables, "another") == []


async def try_it(tables: Tables, provider: str) -> bool:
    async with tables.database.transaction() as session:
        return await breakers.take_trial(session, provider, "m")


async def test_only_a_few_may_try_while_it_is_half_open_whatever_their_number(tables: Tables, provider: str) -> None:
    await fail(tables, provider, times=5)
    await probe(tables, provider, well=True)
    tries = await asyncio.gather(*(try_it(tables, provider) for _ in range(10)))
    full = await standing(tables, provider)
    async with tables.database.transaction() as session:
        await breakers.record_end(session, provider, "m")

    assert sum(tries) == RULES.trials
    assert not full.may_try
    assert await try_it(tables, provider)


async def test_a_provider_that_tells_one_to_wait_makes_all_wait_for_the_longest_time(
    tables: Tables, provider: str
) -> None:
    until = now() + timedelta(seconds=60)
    for seconds in (0, -30):
        async with tables.database.transaction() as session:
            await traffic.record_busy(session, provider, "m", until + timedelta(seconds=seconds))
    whole = await standing(tables, provider)

    assert whole.busy_until == until
    assert (await standing(tables, provider, "m")).traffic.busy == 2


async def test_a_wait_that_is_over_is_not_told_any_more(tables: Tables, provider: str) -> None:
    async with tables.database.transaction() as session:
        await traffic.record_busy(session, provider, "m", now() - timedelta(seconds=1))

    assert (await standing(tables, provider)).busy_until is None


async def test_a_change_wakes_who_listens(tables: Tables, provider: str) -> None:
    listener = Listener(tables.url, (CHANNEL_STANDING,))
    async with listener.listening():
        with listener.subscribe(CHANNEL_STANDING, provider) as woken:
            await asyncio.wait_for(woken.wait(), 60)  # it listens from now on
            woken.clear()
            await fail(tables, provider, times=5)
            await asyncio.wait_for(woken.wait(), 60)


async def test_old_traffic_and_old_events_are_forgotten(tables: Tables, provider: str) -> None:
    await succeed(tables, provider, 1.0)
    await age(tables, provider, 2 * 24 * 60)
    async with tables.database.transaction() as session:
        found = await traffic.old_rows(session, limit=5000)
        await traffic.purge(session)
        left = await traffic.old_rows(session, limit=5000)

    assert found >= 2
    assert left == 0


async def test_standings_are_read_by_the_minute_and_without_a_look_at_any_purchase(tables: Tables) -> None:
    async with tables.database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("set local enable_seqscan = off"))  # the tables of a test are small
        explained = await connection.execute(
            text(f"explain {standings.statement()}"), {"since": standings.since(now())}
        )
        plan = "\n".join(row[0] for row in explained)

    assert "ix_traffic_minute" in plan
    assert "spend" not in plan
