"""A program of the lab that cannot start says why."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.failures import NotReadyYet, ServiceFailed
from deploy.programs import PYTHON
from deploy.service import Service
from tests.crash.offspring import Offspring
from tests.nursery import Born, Nursery, nursery


async def test_a_program_that_fails_before_it_serves_is_a_failure_with_its_last_lines(tmp_path: Path) -> None:
    async def never() -> None:
        raise NotReadyYet("not yet")

    (tmp_path / "program.py").write_text("raise ValueError('no such thing')", "utf-8")
    service = Service(
        name="program",
        command=(*PYTHON, "program"),
        environment={"PYTHONPATH": str(tmp_path)},
        folder=tmp_path,
        ready=never,
    )
    async with nursery(tmp_path) as there:
        offspring = Offspring(service, tmp_path, there, tmp_path / "logs")

        with pytest.raises(ServiceFailed, match="no such thing"):
            await offspring.start()
        assert offspring.pid is None


class JustForked(Nursery):
    """Its only child is still in the group of whoever runs the tests."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        super().__init__(child)
        self._child = child

    async def bear(self, *_arguments: Any, **_where: Any) -> Born:
        born = Born(self._child.pid)
        self.hearing = asyncio.create_task(self._hear_of_the_end(born))
        return born

    async def _hear_of_the_end(self, born: Born) -> None:
        born.end(await self._child.wait())


async def test_a_program_that_is_not_yet_in_a_group_of_its_own_is_killed_too(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(600)")
    service = Service(name="program", command=(*PYTHON, "program"), environment={}, folder=tmp_path)
    offspring = Offspring(service, tmp_path, JustForked(child), tmp_path / "logs")
    await offspring.start()

    try:
        await asyncio.wait_for(offspring.kill(), 60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    assert child.returncode == -signal.SIGKILL
