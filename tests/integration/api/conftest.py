"""The API's servers: a database of its own, a dev engine with workflows that do nothing, an API on a real socket."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy.engine import make_url
from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.erasures import ErasureOrder
from contracts.names import (
    MAIN_QUEUE,
    SEARCH_KIND,
    SEARCH_TENANT,
    WORKFLOW_AVATAR,
    WORKFLOW_AVATAR_SCENE,
    WORKFLOW_DELETE_SESSION,
    WORKFLOW_DELIVER,
    WORKFLOW_ENHANCE,
    WORKFLOW_ERASE,
    WORKFLOW_IMAGE,
    WORKFLOW_RECONCILE,
)
from contracts.pictures import GenerationInput, SessionDeletion
from contracts.reconciliation import Fact, FindingItem, ReconcileOrder, ReconcileReport
from contracts.webhooks import DeliveryInput
from db import migrate
from storage.memory import MemoryStorage
from temporal_client import connect
from tests.integration.api.picture_host import PictureHost, picture_host
from tests.integration.api.running_api import RunningApi, Tenant, new_tenant, running_api, settings_for
from tests.temporal_servers import dev_server


@workflow.defn(name=WORKFLOW_AVATAR)
class PatientAvatar:
    """Runs until it is canceled."""

    @workflow.run
    async def run(self, given: GenerationInput) -> None:
        await workflow.wait_condition(lambda: False)


@workflow.defn(name=WORKFLOW_AVATAR_SCENE)
class QuickAvatarScene:
    """Ends at once."""

    @workflow.run
    async def run(self, given: GenerationInput) -> str:
        return str(given.generation_id)


@workflow.defn(name=WORKFLOW_IMAGE)
class PatientImage:
    """Runs until it is canceled."""

    @workflow.run
    async def run(self, given: GenerationInput) -> None:
        await workflow.wait_condition(lambda: False)


@workflow.defn(name=WORKFLOW_ENHANCE)
class PatientEnhance:
    """Runs until it is canceled."""

    @workflow.run
    async def run(self, given: GenerationInput) -> None:
        await workflow.wait_condition(lambda: False)


@workflow.defn(name=WORKFLOW_DELETE_SESSION)
class QuickDeletion:
    """Ends at once."""

    @workflow.run
    async def run(self, deletion: SessionDeletion) -> str:
        return deletion.session_id


@workflow.defn(name=WORKFLOW_ERASE)
class QuickErasure:
    """Ends at once."""

    @workflow.run
    async def run(self, order: ErasureOrder) -> str:
        return str(order.erasure_id)


@workflow.defn(name=WORKFLOW_DELIVER)
class QuickDelivery:
    """Ends at once."""

    @workflow.run
    async def run(self, given: DeliveryInput) -> str:
        return str(given.delivery_id)


@workflow.defn(name=WORKFLOW_RECONCILE)
class QuickRound:
    """Ends at once, with one finding that says how it was asked for."""

    @workflow.run
    async def run(self, order: ReconcileOrder) -> ReconcileReport:
        facts: dict[str, Fact] = {"dry_run": order.dry_run, "whole": order.whole}
        item = FindingItem(kind="odd", action="found" if order.dry_run else "removed", facts=facts)
        return ReconcileReport(counts={"odd": 1}, items=(item,), skipped={"objects": "storage_unavailable"})


async def _new_database(postgres_url: str, name: str) -> str:
    url = make_url(postgres_url)
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    await connection.execute(f'create database "{name}"')
    await connection.close()
    own = url.set(database=name).render_as_string(hide_password=False)
    await migrate.upgrade(own)
    return own


@pytest.fixture(scope="session")
async def api_database_url(postgres_url: str) -> str:
    return await _new_database(postgres_url, "api_tests")


@pytest.fixture(scope="session")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    async with dev_server(search_attributes=(SEARCH_KIND, SEARCH_TENANT)) as environment:
        client = await connect(environment.client.service_client.config.target_host)
        async with Worker(
            client,
            task_queue=MAIN_QUEUE,
            workflows=[
                PatientAvatar,
                QuickAvatarScene,
                PatientImage,
                PatientEnhance,
                QuickDeletion,
                QuickErasure,
                QuickDelivery,
                QuickRound,
            ],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            yield environment


@pytest.fixture(scope="session")
async def pictures() -> AsyncIterator[PictureHost]:
    async with picture_host() as host:
        yield host


@pytest.fixture(scope="session")
async def api(api_database_url: str, engine: WorkflowEnvironment, pictures: PictureHost) -> AsyncIterator[RunningApi]:
    address = engine.client.service_client.config.target_host
    settings = settings_for(api_database_url, address, image_url_hosts=pictures.host_and_port)
    async with running_api(settings, MemoryStorage()) as running:
        yield running


@pytest.fixture(scope="session")
async def api_without_engine(postgres_url: str) -> AsyncIterator[RunningApi]:
    """An API whose engine is away: nothing listens on the discard port."""
    url = await _new_database(postgres_url, "api_tests_without_engine")
    async with running_api(settings_for(url, "127.0.0.1:9"), MemoryStorage()) as running:
        yield running


@pytest.fixture
async def tenant(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api) as tenant:
        yield tenant


@pytest.fixture
async def stranger(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api) as stranger:
        yield stranger


@pytest.fixture
async def offline_tenant(api_without_engine: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api_without_engine) as tenant:
        yield tenant
