"""A cancellation that meets a failure, on a real engine: the time-skipping server of the other stories times such runs out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from contracts.names import SEARCH_ATTRIBUTES, WORKFLOW_AVATAR_SCENE
from contracts.pictures import PictureMade, PictureOrder
from contracts.statuses import Step
from errors import DatabaseUnavailable, DioramaError, StorageError, WorkerStopping
from temporal_client import connect, ensure_search_attributes
from tests.temporal_servers import dev_server
from tests.workflows.stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with dev_server() as environment:
        client = await connect(environment.client.service_client.config.target_host)
        await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
        async with Stage(client, max_cached_workflows=100) as stage:
            yield stage


@pytest.mark.parametrize("error", [WorkerStopping, DatabaseUnavailable, StorageError])
async def test_a_cancel_that_meets_a_passing_failure_is_still_a_cancel(stage: Stage, error: type[DioramaError]) -> None:
    async def make(order: PictureOrder) -> PictureMade:
        await stage.client.get_workflow_handle(activity.info().workflow_id or "").cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)  # until the engine says so with a heartbeat's answer
        raise ApplicationError("not now", type=error.code)  # which would be tried again, were it still wanted

    stage.make = make
    handle = await stage.start(WORKFLOW_AVATAR_SCENE)
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()

    assert isinstance(caught.value.cause, CancelledError)
    assert stage.undone == [Step.avatar]
    assert [closing.outcome for closing in stage.closings] == ["canceled"]
