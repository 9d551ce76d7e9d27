"""Programs that are forked are as those that are started: of their tree, in their environment, and their ends are told."""

import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deploy.failures import NotReadyYet, ServiceFailed
from deploy.leftovers import alive
from deploy.service import Service
from tests.crash.looking import until
from tests.crash.nursery import Nursery, NurseryGone, Offspring, nursery

SLEEPING = "import time; time.sleep(600)"


@pytest.fixture(scope="module")
async def there(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nursery]:
    async with nursery(tmp_path_factory.mktemp("nursery")) as born_there:
        yield born_there


def program(tree: Path, source: str) -> Service:
    (tree / "program.py").write_text(source, "utf-8")
    environment = {"PYTHONPATH": str(tree), "WORD": "green"}
    return Service(name="program", command=("python", "-m", "program"), environment=environment, folder=tree)


async def test_a_program_runs_from_its_tree_in_its_environment_and_its_end_is_told(
    there: Nursery, tmp_path: Path
) -> None:
    source = "import os, sys\nprint(__name__, os.getcwd(), *os.environ.values())\nsys.exit(3)\n"
    service = program(tmp_path, source)

    born = await there.bear(service, tmp_path / "log")
    await born.ended.wait()

    assert born.code == 3
    assert (tmp_path / "log").read_text() == f"__main__ {tmp_path} {tmp_path} green\n"


async def test_the_next_of_the_same_name_has_its_own_source(there: Nursery, tmp_path: Path) -> None:
    for number in range(2):
        tree = tmp_path / str(number)
        tree.mkdir()
        born = await there.bear(program(tree, f"raise SystemExit({number})"), tmp_path / "log")
        await born.ended.wait()

        assert born.code == number


async def test_a_program_that_ends_itself_by_a_signal_is_told_as_such(there: Nursery, tmp_path: Path) -> None:
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"

    born = await there.bear(program(tmp_path, source), tmp_path / "log")
    await born.ended.wait()

    assert born.code == -signal.SIGKILL


async def test_a_program_that_fails_before_it_serves_is_a_failure_with_its_last_lines(
    there: Nursery, tmp_path: Path
) -> None:
    async def never() -> None:
        raise NotReadyYet("not yet")

    service = replace(program(tmp_path, "raise ValueError('no such thing')"), ready=never)
    offspring = Offspring(service, tmp_path, there, tmp_path / "logs")

    with pytest.raises(ServiceFailed, match="no such thing"):
        await offspring.start()
    assert offspring.pid is None


async def test_whatever_lives_ends_with_the_nursery(tmp_path: Path) -> None:
    async with nursery(tmp_path) as there:
        born = await there.bear(program(tmp_path, SLEEPING), tmp_path / "log")
        process = psutil.Process(born.pid)

        assert alive([process]) == [process]

    async def is_gone() -> bool:
        return not alive([process])

    await until(is_gone, every_s=0.02)
    with pytest.raises(NurseryGone):
        await there.bear(program(tmp_path, SLEEPING), tmp_path / "log")
