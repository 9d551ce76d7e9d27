"""A delivery's whole story: the real workflow on a server that skips time, the real activity, PostgreSQL, a real receiver."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.delivery import DeliveryActivities
from activities.webhook_post import WebhookPost
from contracts.names import DELIVERY_QUEUE, MAIN_QUEUE, WORKFLOW_DELIVER, delivery_workflow_id
from contracts.pictures import Closing
from contracts.statuses import DeliveryState
from contracts.webhook_secrets import WebhookSecrets
from contracts.webhooks import DeliveryInput, DeliveryTrouble
from db import deliveries, lives, webhook_endpoints
from db.webhook_models import Delivery, DeliveryAttempt, WebhookEndpoint
from public_http.client import PublicHttp
from public_http.places import PublicPlaces
from tests.hook_receiver import HookReceiver, hook_receiver
from tests.integration.conftest import Tables
from tests.integration.test_ledger import a_generation
from tests.temporal_servers import time_skipping_server
from workflows.deliver_webhook import DeliverWebhook


@dataclass
class Story:
    """One delivery to one receiver, and those who carry it out."""

    client: Client
    tables: Tables
    receiver: HookReceiver

    async def begin(self) -> UUID:
        """The id of a delivery that a generation's end has just made."""
        endpoint = WebhookEndpoint(tenant_id=self.tables.tenant_id, url=self.receiver.url())
        generation = await a_generation(self.tables)
        async with self.tables.database.transaction() as session:
            await webhook_endpoints.create(session, endpoint)
        async with self.tables.database.transaction() as session:
            await lives.close(session, Closing(generation_id=generation.id, outcome="canceled"))
        async with self.tables.database.transaction() as session:
            (made,) = await deliveries.page(session, endpoint.id, state=None, before=None, limit=10)
        return made.id

    async def tell(self, delivery_id: UUID) -> Delivery:
        """Run the workflow of the delivery's present run to its end; the delivery afterwards."""
        row = await self.row(delivery_id)
        given = DeliveryInput(delivery_id=row.id, generation_id=row.generation_id, run=row.run, attempts=row.attempts)
        workflow_id = delivery_workflow_id(row.id, row.run)
        await self.client.execute_workflow(WORKFLOW_DELIVER, given, id=workflow_id, task_queue=MAIN_QUEUE)
        return await self.row(delivery_id)

    async def row(self, delivery_id: UUID) -> Delivery:
        async with self.tables.database.transaction() as session:
            return await session.get_one(Delivery, delivery_id)

    async def attempts(self, delivery_id: UUID) -> list[DeliveryAttempt]:
        async with self.tables.database.transaction() as session:
            return list(await deliveries.attempts(session, delivery_id))

    async def replay(self, delivery_id: UUID) -> None:
        async with self.tables.database.transaction() as session:
            row = await deliveries.of_tenant(session, self.tables.tenant_id, delivery_id, lock=True)
            assert row is not None
            await deliveries.replay(session, row)


@pytest.fixture(scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping_server() as environment:
        yield environment


@pytest.fixture
async def story(skipping: WorkflowEnvironment, tables: Tables) -> AsyncIterator[Story]:
    async with hook_receiver() as receiver:
        http = PublicHttp(PublicPlaces(frozenset({receiver.host_and_port})))
        activities = DeliveryActivities(
            database=tables.database, post=WebhookPost(http), secrets=WebhookSecrets("a secret of the tests")
        )
        main = Worker(
            skipping.client,
            task_queue=MAIN_QUEUE,
            workflows=[DeliverWebhook],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with main, Worker(skipping.client, task_queue=DELIVERY_QUEUE, activities=[activities.deliver]):
            yield Story(skipping.client, tables, receiver)
        await http.close()


async def test_a_receiver_that_fails_twice_gets_it_at_the_third_attempt(story: Story) -> None:
    delivery_id = await story.begin()
    story.receiver.statuses = [500, 500]

    ended = await story.tell(delivery_id)

    tried = await story.attempts(delivery_id)
    assert (ended.state, ended.attempts, ended.last_error) == (DeliveryState.delivered, 3, None)
    assert [(one.number, one.status, one.error) for one in tried] == [
        (1, 500, "refused"),
        (2, 500, "refused"),
        (3, 204, None),
    ]
    assert {arrived.id for arrived in story.receiver.arrived} == {str(delivery_id)}


async def test_a_receiver_that_never_takes_it_is_given_up_after_ten_attempts_and_can_be_replayed(story: Story) -> None:
    delivery_id = await story.begin()
    story.receiver.statuses = [500] * 10

    given_up = await story.tell(delivery_id)
    await story.replay(delivery_id)
    replayed = await story.tell(delivery_id)

    assert (given_up.state, given_up.attempts, given_up.last_error) == (
        DeliveryState.failed,
        10,
        DeliveryTrouble.refused,
    )
    assert given_up.next_attempt_at is None
    assert (replayed.state, replayed.run, replayed.attempts) == (DeliveryState.delivered, 2, 11)
    assert len(await story.attempts(delivery_id)) == 11
    assert {arrived.id for arrived in story.receiver.arrived} == {str(delivery_id)}


async def test_a_receiver_that_is_gone_at_the_second_attempt_ends_it(story: Story) -> None:
    delivery_id = await story.begin()
    story.receiver.statuses = [500, 410]
    ended = await story.tell(delivery_id)

    assert (ended.state, ended.attempts, ended.last_error) == (DeliveryState.failed, 2, DeliveryTrouble.gone)
    assert len(story.receiver.arrived) == 2
