"""A program of the lab that cannot start says why."""

from pathlib import Path

import pytest

from deploy.failures import NotReadyYet, ServiceFailed
from deploy.programs import PYTHON
from deploy.service import Service
from tests.crash.offspring import Offspring
from tests.nursery import nursery


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
