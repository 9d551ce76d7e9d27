"""Programs that are forked are as those that are started: in their folder and environment, and their ends are told."""

import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
import pytest

from deploy.leftovers import ROOT_MARK, alive
from deploy.process import Launch
from deploy.programs import PYTHON
from tests.crash.looking import until
from tests.nursery import Born, Nursery, NurseryGone, nursery

SLEEPING = "import time; time.sleep(600)"


@pytest.fixture(scope="module")
async def there(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nursery]:
    async with nursery(tmp_path_factory.mktemp("nursery")) as born_there:
        yield born_there


async def bear(there: Nursery, tree: Path, source: str, arguments: Sequence[str] = ()) -> Born:
    (tree / "program.py").write_text(source, "utf-8")
    environment = {"PYTHONPATH": str(tree), "WORD": "green"}
    return await there.bear(["program", *arguments], environment=environment, folder=tree, log=tree / "log")


async def test_a_program_runs_from_its_tree_with_its_arguments_and_environment_and_its_end_is_told(
    there: Nursery, tmp_path: Path
) -> None:
    source = "import os, sys\nprint(__name__, os.getcwd(), *os.environ.values(), *sys.argv[1:])\nsys.exit(3)\n"

    born = await bear(there, tmp_path, source, ["--port", "1"])

    assert await born.wait() == 3
    assert (tmp_path / "log").read_text() == f"__main__ {tmp_path} {tmp_path} green --port 1\n"


async def test_the_next_of_the_same_name_has_its_own_source(there: Nursery, tmp_path: Path) -> None:
    for number in range(2):
        tree = tmp_path / str(number)
        tree.mkdir()
        born = await bear(there, tree, f"raise SystemExit({number})")

        assert await born.wait() == number


async def test_a_program_that_ends_itself_by_a_signal_is_told_as_such(there: Nursery, tmp_path: Path) -> None:
    born = await bear(there, tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")

    assert await born.wait() == -signal.SIGKILL


async def test_what_a_program_said_is_in_its_log_although_it_was_killed(there: Nursery, tmp_path: Path) -> None:
    born = await bear(there, tmp_path, "import os, signal\nprint('said')\nos.kill(os.getpid(), signal.SIGKILL)\n")
    await born.wait()

    assert (tmp_path / "log").read_text() == "said\n"


async def test_whatever_lives_ends_with_the_nursery(tmp_path: Path) -> None:
    async with nursery(tmp_path) as there:
        born = await bear(there, tmp_path, SLEEPING)
        process = psutil.Process(born.pid)

        assert alive([process]) == [process]

    async def is_gone() -> bool:
        return not alive([process])

    await until(is_gone, every_s=0.02)
    with pytest.raises(NurseryGone):
        await bear(there, tmp_path, SLEEPING)


@pytest.mark.parametrize(
    ("command", "said"), [((*PYTHON, "program"), "forked\n"), ((sys.executable, "program.py"), "['program.py']\n")]
)
async def test_a_stack_has_its_own_programs_born_there_and_foreign_ones_started(
    there: Nursery, tmp_path: Path, command: tuple[str, ...], said: str
) -> None:
    source = "import sys\nprint(sys.argv if 'fastapi' not in sys.modules else 'forked')\n"
    (tmp_path / "program.py").write_text(source, "utf-8")
    environment = {"PYTHONPATH": str(tmp_path), ROOT_MARK: str(tmp_path)}
    launch = Launch(command=command, environment=environment, folder=tmp_path, log=tmp_path / "log")

    process = await there.spawn(launch)

    assert await process.wait() == 0
    assert (tmp_path / "log").read_text() == said
