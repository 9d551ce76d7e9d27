"""What holds for all tests."""

import gc
import os
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

from deploy.process import Spawn, StackProcess
from tests.nursery import nursery

# No test asserts a time: an example that a busy machine is slow with is not a wrong one. (Its own limits: 200 ms an example.)
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# What is collected stays to the end: looking through it for garbage again and again takes a fifth of the time that collecting takes.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on only what the tests themselves make is looked through."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
async def spawn(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Spawn]:
    """How the stacks of tests start our programs: forked from one that has imported already what they import.

    What measures coverage starts with a program: then they are started as ever.
    """
    if any(name.startswith("COVERAGE_PROCESS") for name in os.environ):
        yield StackProcess.spawn
        return
    async with nursery(tmp_path_factory.mktemp("nursery")) as there:
        yield there.spawn
