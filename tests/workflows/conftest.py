"""A time-skipping server for all workflow tests, and a stage on which fake activities play under the real names."""

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from contracts.names import SEARCH_ATTRIBUTES
from tests.workflows.stage import Stage

BESIDE_PYTHON = str(Path(sys.executable).parent)


@pytest.fixture(scope="session")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    path = shutil.which("temporal-test-server", path=BESIDE_PYTHON) or shutil.which("temporal-test-server")
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=path, data_converter=pydantic_data_converter
    ) as env:
        # This server cannot list what it has, so the product's own registration does not run here.
        kind = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        names = dict.fromkeys(SEARCH_ATTRIBUTES, kind)
        await env.client.operator_service.add_search_attributes(AddSearchAttributesRequest(search_attributes=names))
        yield env


@pytest.fixture(params=[1000, 0], ids=["cached", "replayed at every task"])
async def stage(environment: WorkflowEnvironment, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    # The environment's own client: it lets time skip while a result is waited for.
    async with Stage(environment.client, max_cached_workflows=request.param) as stage:
        yield stage
