"""Deliveries on a real PostgreSQL, to a real receiver: made with the event, sent, written down, ended."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.delivery import DeliveryActivities
from activities.webhook_post import WebhookPost
from contracts.pictures import Closing, Failure
from contracts.statuses import DeliveryState
from contracts.webhook_secrets import OVERLAP, WebhookSecrets
from contracts.webhooks import AttemptOrder, AttemptReport, DeliveryTrouble, DisabledReason, WebhookEvent
from db import deliveries, keys, lives, webhook_endpoints
from db.columns import now
from db.models import Generation
from db.webhook_models import Delivery, WebhookEndpoint
from errors import TooManyWebhookEndpoints
from public_http.client import PublicHttp
from public_http.places import PublicPlaces, Resolve, resolve
from tests.hook_receiver import HookReceiver, hook_receiver
from tests.integration.conftest import Tables
from tests.integration.test_ledger import a_generation

SECRETS = WebhookSecrets("a secret of the tests")
# Of the schedule: long enough that no test comes to its end.
PAUSE_S = 300.0


@dataclass
class Post:
    """A tenant, its receiver, and the activity that goes between them."""

    tables: Tables
    receiver: HookReceiver
    total_s: float = 15.0
    resolve: Resolve = resolve

    async def endpoint(self, path: str = "hook", *events: WebhookEvent, **fields: Any) -> WebhookEndpoint:
        values: dict[str, Any] = {
            "tenant_id": self.tables.tenant_id,
            "url": self.receiver.url(path),
            "events": list(events),
        }
        async with self.tables.database.transaction() as session:
            return await webhook_endpoints.create(session, WebhookEndpoint(**(values | fields)))

    async def ended(self) -> Generation:
        """A generation that has just ended."""
        generation = await a_generation(self.tables)
        failure = Failure(code="policy_refused", detail="refused")
        closing = Closing(generation_id=generation.id, outcome="failed", failure=failure)
        async with self.tables.database.transaction() as session:
            return await lives.close(session, closing)

    async def of(self, generation_id: UUID) -> list[Delivery]:
        async with self.tables.database.transaction() as session:
            rows = (
                await (await session.connection()).execute(
                    text("select id from delivery where generation_id = :id order by id"), {"id": generation_id}
                )
            ).all()
            return [await session.get_one(Delivery, row.id) for row in rows]

    async def read(self, delivery: Delivery) -> Delivery:
        async with self.tables.database.transaction() as session:
            return await session.get_one(Delivery, delivery.id)

    async def endpoint_now(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        async with self.tables.database.transaction() as session:
            return await session.get_one(WebhookEndpoint, endpoint.id)

    async def change(self, endpoint: WebhookEndpoint, **values: Any) -> None:
        async with self.tables.database.transaction() as session:
            row = await session.get_one(WebhookEndpoint, endpoint.id)
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)

    async def attempt(self, delivery: Delivery, number: int = 1, *, last: bool = False, run: int = 1) -> AttemptReport:
        places = PublicPlaces(frozenset({self.receiver.host_and_port}), self.resolve)
        http = PublicHttp(places)
        activities = DeliveryActivities(
            database=self.tables.database, post=WebhookPost(http, total_s=self.total_s), secrets=SECRETS
        )
        order = AttemptOrder(
            delivery_id=delivery.id,
            generation_id=delivery.generation_id,
            run=run,
            number=number,
            pause_s=None if last else PAUSE_S,
        )
        report: AttemptReport = await ActivityEnvironment().run(activities.deliver, order)
        await http.close()
        return report


@pytest.fixture
async def post(tables: Tables) -> AsyncIterator[Post]:
    async with hook_receiver() as receiver:
        yield Post(tables, receiver)


async def test_the_end_of_a_generation_makes_exactly_one_delivery_for_each_endpoint_that_wants_it(post: Post) -> None:
    everything = await post.endpoint("all")
    failures = await post.endpoint("failures", WebhookEvent.failed, WebhookEvent.canceled)
    await post.endpoint("successes", WebhookEvent.succeeded)
    await post.endpoint("disabled", disabled_at=now())
    await post.endpoint("deleted", deleted_at=now())

    generation = await post.ended()
    async with post.tables.database.transaction() as session:  # a workflow that closes once more changes nothing
        await lives.close(session, Closing(generation_id=generation.id, outcome="canceled"))

    made = await post.of(generation.id)
    assert {delivery.endpoint_id for delivery in made} == {everything.id, failures.id}
    assert {(one.event_type, one.event_seq, one.state) for one in made} == {
        ("generation.failed", 2, DeliveryState.pending)
    }


async def test_endpoints_of_other_tenants_hear_nothing(post: Post) -> None:
    async with post.tables.database.transaction() as session:
        other = await keys.ensure_key(session, key := keys.new_key(), pepper="p", tenant_name=key)
    await post.endpoint(tenant_id=other)

    assert await post.of((await post.ended()).id) == []


async def test_a_reopened_generation_is_told_too(post: Post) -> None:
    await post.endpoint("reopened", WebhookEvent.reopened)
    generation = await a_generation(post.tables)
    async with post.tables.database.transaction() as session:
        await lives.open_(session, generation)
    async with post.tables.database.transaction() as session:
        assert await lives.reopen(session, generation.id, "a_test")

    (delivery,) = await post.of(generation.id)
    await post.attempt(delivery)
    (arrived,) = post.receiver.at("reopened")
    assert (arrived.content["type"], arrived.content["data"]["status"]) == ("generation.reopened", "queued")


async def test_an_end_that_is_rolled_back_leaves_no_delivery(post: Post) -> None:
    await post.endpoint()
    generation = await a_generation(post.tables)

    async def close_and_fail() -> None:
        async with post.tables.database.transaction() as session:
            await lives.close(session, Closing(generation_id=generation.id, outcome="canceled"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await close_and_fail()

    assert await post.of(generation.id) == []


async def test_an_eleventh_endpoint_is_refused_however_many_come_at_once(post: Post) -> None:
    made = await asyncio.gather(*(post.endpoint(f"h{n}") for n in range(14)), return_exceptions=True)

    assert sum(isinstance(one, WebhookEndpoint) for one in made) == 10
    assert sum(isinstance(one, TooManyWebhookEndpoints) for one in made) == 4
    assert len(await post.of((await post.ended()).id)) == 10


async def test_a_delivery_arrives_signed_and_is_written_down(post: Post) -> None:
    endpoint = await post.endpoint()
    generation = await post.ended()
    (delivery,) = await post.of(generation.id)

    report = await post.attempt(delivery)

    (arrived,) = post.receiver.arrived
    arrived.verify(SECRETS.secret(endpoint.id, 1))
    ended = await post.read(delivery)
    async with post.tables.database.transaction() as session:
        (attempt,) = await deliveries.attempts(session, delivery.id)
    assert arrived.id == str(delivery.id)
    assert arrived.content["data"]["generation_id"] == str(generation.id)
    assert arrived.content["data"]["error"]["code"] == "policy_refused"
    assert (report.state, report.status) == (DeliveryState.delivered, 204)
    assert (ended.state, ended.attempts, ended.last_error) == (DeliveryState.delivered, 1, None)
    assert ended.ended_at is not None
    assert (attempt.number, attempt.status, attempt.error) == (1, 204, None)


async def test_a_refusal_is_tried_again_after_the_pause_and_keeps_its_id(post: Post) -> None:
    await post.endpoint()
    (delivery,) = await post.of((await post.ended()).id)
    post.receiver.statuses = [500]

    first = await post.attempt(delivery)
    waiting = await post.read(delivery)
    second = await post.attempt(delivery, 2)

    assert (first.state, first.status, first.trouble) == (DeliveryState.pending, 500, DeliveryTrouble.refused)
    assert 0 < first.pause_s <= PAUSE_S
    assert waiting.next_attempt_at is not None
    assert second.state is DeliveryState.delivered
    assert len({arrived.id for arrived in post.receiver.arrived}) == 1
    assert (await post.read(delivery)).attempts == 2


@pytest.mark.parametrize(("asked", "given_s"), [("600", 600), ("1", PAUSE_S), ("999999", 3600)])
async def test_a_receiver_that_asks_for_patience_gets_it_up_to_an_hour(post: Post, asked: str, given_s: float) -> None:
    await post.endpoint()
    (delivery,) = await post.of((await post.ended()).id)
    post.receiver.statuses, post.receiver.answer_headers = [429], [f"Retry-After: {asked}"]
    began = time.monotonic()

    report = await post.attempt(delivery)

    assert given_s - (time.monotonic() - began) - 1 <= report.pause_s <= given_s


async def test_410_ends_the_delivery_and_disables_the_endpoint(post: Post) -> None:
    endpoint = await post.endpoint()
    first, second = [(await post.of((await post.ended()).id))[0] for _ in range(2)]
    post.receiver.statuses = [410]

    gone = await post.attempt(first)
    after = await post.attempt(second)

    disabled = await post.endpoint_now(endpoint)
    assert (gone.state, gone.trouble) == (DeliveryState.failed, DeliveryTrouble.gone)
    assert disabled.disabled_reason == DisabledReason.gone
    assert (after.state, after.trouble) == (DeliveryState.failed, DeliveryTrouble.endpoint_disabled)
    assert len(post.receiver.arrived) == 1
    assert await post.of((await post.ended()).id) == []


async def test_an_endpoint_that_was_deleted_meanwhile_gets_nothing(post: Post) -> None:
    endpoint = await post.endpoint()
    (delivery,) = await post.of((await post.ended()).id)
    await post.change(endpoint, deleted_at=now())

    report = await post.attempt(delivery)

    assert (report.state, report.trouble) == (DeliveryState.failed, DeliveryTrouble.endpoint_deleted)
    assert post.receiver.arrived == []


@pytest.mark.parametrize(("age_days", "disabled"), [(6, True), (4, False)])
async def test_after_the_whole_schedule_an_endpoint_that_took_nothing_for_days_is_disabled(
    post: Post, age_days: int, disabled: bool
) -> None:
    endpoint = await post.endpoint(created_at=now() - timedelta(days=age_days))
    (delivery,) = await post.of((await post.ended()).id)
    post.receiver.statuses = [500]

    report = await post.attempt(delivery, last=True)

    after = await post.endpoint_now(endpoint)
    assert (report.state, report.trouble) == (DeliveryState.failed, DeliveryTrouble.refused)
    assert (after.disabled_reason == DisabledReason.failing) is disabled


async def test_one_success_in_the_last_days_keeps_an_endpoint_alive(post: Post) -> None:
    endpoint = await post.endpoint(created_at=now() - timedelta(days=30))
    good, bad = [(await post.of((await post.ended()).id))[0] for _ in range(2)]
    await post.attempt(good)
    post.receiver.statuses = [500]

    await post.attempt(bad, last=True)

    assert (await post.endpoint_now(endpoint)).disabled_at is None


async def test_a_redirect_is_a_refusal_and_is_not_followed(post: Post) -> None:
    await post.endpoint()
    (delivery,) = await post.of((await post.ended()).id)
    post.receiver.statuses, post.receiver.answer_headers = [302], [f"Location: {post.receiver.url('elsewhere')}"]

    report = await post.attempt(delivery)

    assert (report.status, report.trouble) == (302, DeliveryTrouble.refused)
    assert post.receiver.at("elsewhere") == []


async def test_a_receiver_that_does_not_answer_is_left_after_the_time_limit(post: Post) -> None:
    await post.endpoint()
    (delivery,) = await post.of((await post.ended()).id)
    post.total_s = 0.3
    post.receiver.hold.clear()

    report = await post.attempt(delivery)

    assert (report.status, report.trouble) == (None, DeliveryTrouble.timed_out)


async def test_a_host_where_nobody_listens_is_unreachable(post: Post) -> None:
    await post.endpoint(url="https://nobody.example/")
    (delivery,) = await post.of((await post.ended()).id)

    async def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError

    post.resolve = nowhere
    report = await post.attempt(delivery)

    assert (report.status, report.trouble) == (None, DeliveryTrouble.unreachable)


async def test_a_name_that_leads_to_a_private_address_by_now_is_not_connected_to(post: Post) -> None:
    await post.endpoint(url="https://rebound.example/")
    (delivery,) = await post.of((await post.ended()).id)

    async def rebound(_host: str, _port: int) -> list[str]:
        return ["169.254.169.254"]

    post.resolve = rebound
    report = await post.attempt(delivery)

    assert (report.state, report.trouble) == (DeliveryState.pending, DeliveryTrouble.url_forbidden)


async def test_an_attempt_that_was_written_down_is_not_made_again_by_a_repeated_activity(post: Post) -> None:
    await post.endpoint()
    (delivery,) = await post.of((await post.ended()).id)
    post.receiver.statuses = [500]
    first = await post.attempt(delivery)

    again = await post.attempt(delivery)

    assert len(post.receiver.arrived) == 1
    assert (again.state, again.status) == (first.state, first.status)
    assert 0 < again.pause_s <= first.pause_s


async def test_a_stale_attempt_of_an_earlier_run_changes_nothing(post: Post) -> None:
    await post.endpoint()
    (delivery,) = await post.of((await post.ended()).id)
    post.receiver.statuses = [500]
    await post.attempt(delivery, last=True)
    async with post.tables.database.transaction() as session:
        row = await deliveries.of_tenant(session, post.tables.tenant_id, delivery.id, lock=True)
        assert row is not None
        await deliveries.replay(session, row)

    stale = await post.attempt(delivery, 2, run=1)
    assert (stale.state, len(post.receiver.arrived)) == (DeliveryState.pending, 1)
    replayed = await post.attempt(delivery, 2, run=2)

    assert replayed.state is DeliveryState.delivered
    assert len({arrived.id for arrived in post.receiver.arrived}) == 1
    assert (await post.read(delivery)).attempts == 2


@pytest.mark.parametrize(("hours_ago", "both"), [(1, True), (25, False)])
async def test_a_rotated_secret_and_for_a_day_the_one_before_sign(post: Post, hours_ago: int, both: bool) -> None:
    rotated_at = now() - timedelta(hours=hours_ago)
    endpoint = await post.endpoint(secret_version=2, previous_secret_until=rotated_at + OVERLAP)
    (delivery,) = await post.of((await post.ended()).id)
    await post.attempt(delivery)

    (arrived,) = post.receiver.arrived
    arrived.verify(SECRETS.secret(endpoint.id, 2))
    assert len(arrived.headers["webhook-signature"].split(" ")) == (2 if both else 1)


async def test_a_delivery_that_is_not_there_fails_the_activity_for_good(post: Post) -> None:
    stranger = Delivery(
        tenant_id=uuid4(), endpoint_id=uuid4(), generation_id=uuid4(), event_seq=1, event_type="generation.failed"
    )

    with pytest.raises(Exception, match="no such delivery") as caught:
        await post.attempt(stranger)

    assert getattr(caught.value, "non_retryable", False)
