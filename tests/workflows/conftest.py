"""A time-skipping server for all workflow tests, and a stage on which fake activities play under the real names."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.temporal_servers import time_skipping_server
from tests.workflows.stage import Stage


@pytest.fixture(scope="session")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping_server() as server:
        yield server


@pytest.fixture(params=[1000, 0], ids=["cached", "replayed at every task"])
async def stage(environment: WorkflowEnvironment, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    # The environment's own client: it lets time skip while a result is waited for.
    async with Stage(environment.client, max_cached_workflows=request.param) as stage:
        yield stage
