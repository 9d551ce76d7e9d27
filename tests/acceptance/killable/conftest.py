"""A stack of its own: every unknown purchase waits for people, nothing mends by itself, and its processes may be killed anywhere."""

from collections.abc import AsyncIterator

import pytest

from deploy.local import LocalStack, StackOptions
from deploy.process import Spawn
from tests.crash.points import ArmedPoints
from tests.hook_receiver import HookReceiver

SETTINGS = {
    "DIORAMA_REVIEW_ABOVE_USD": "0",
    "DIORAMA_RECONCILE_EVERY_S": "3600",
    "DIORAMA_PICTURE_HEARTBEAT_S": "5",
}


@pytest.fixture(scope="package")
def points(tmp_path_factory: pytest.TempPathFactory) -> ArmedPoints:
    return ArmedPoints(tmp_path_factory.mktemp("points"))


@pytest.fixture(scope="package")
async def stack(
    tmp_path_factory: pytest.TempPathFactory, points: ArmedPoints, hooks: HookReceiver, spawn: Spawn
) -> AsyncIterator[LocalStack]:
    settings = SETTINGS | {"DIORAMA_CRASH_LAB": str(points.folder), "DIORAMA_WEBHOOK_HOSTS": hooks.host_and_port}
    options = StackOptions(fsync=False, sandbox_drawing="fast", sandbox_duration_s=0.3, settings=settings)
    async with LocalStack(tmp_path_factory.mktemp("killable"), options=options, spawn=spawn) as stack:
        yield stack
