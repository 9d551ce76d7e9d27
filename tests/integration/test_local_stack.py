"""The local stack with its real servers, in temporary folders, without waiting for the disk."""

import asyncio
import hashlib
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from deploy.doctor import diagnose
from deploy.failures import ServiceFailed, StackAlreadyRunning
from deploy.leftovers import processes_of
from deploy.local import LocalStack, StackAddresses, StackOptions, running
from deploy.stack_lock import lock_holder
from storage.base import NewObject
from storage.minio_storage import MinioStorage
from temporal_client import connect

SERVERS = frozenset({"postgres", "temporal", "store"})
FAST = StackOptions(fsync=False)
# How long a server that is there may take to answer on a busy machine; one that is away refuses at once.
PATIENCE_S = 60.0
SUPERVISE = """
import asyncio, signal, sys
from pathlib import Path
from deploy.local import LocalStack, StackOptions

async def main():
    services = frozenset({"postgres", "temporal", "store"})
    async with LocalStack(Path(sys.argv[1]), services=services, options=StackOptions(fsync=False)):
        print("up", flush=True)
        await asyncio.Event().wait()

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.fixture(autouse=True)
def patient_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers late is not away: no test here is about that."""
    for limit in ("checkup_servers.TIMEOUT_S", "checkup_machine.PROGRAM_TIMEOUT_S", "running.ANSWER_TIMEOUT_S"):
        monkeypatch.setattr(f"deploy.{limit}", PATIENCE_S)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder whose name holds what often breaks: spaces, percent, hash, question mark."""
    folder = tmp_path / "my stack 100% #1?"
    yield folder
    assert _processes_naming(tmp_path) == []


def _processes_naming(folder: Path) -> list[str]:
    """Every process that names the folder in its command line or works in it, and every one marked with it."""
    found = [str(process) for process in processes_of(folder)]
    for process in psutil.process_iter():
        try:
            words, place = " ".join(process.cmdline()), process.cwd()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if process.pid != os.getpid() and (str(folder) in words or place.startswith(str(folder))):
            found.append(f"{process.pid} {words} in {place}")
    return found


@asynccontextmanager
async def supervisor_process(root: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SUPERVISE, str(root)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"up\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def nothing_left(root: Path) -> None:
    """Wait until everything is gone, the reaper included."""
    async with asyncio.timeout(120):
        while _processes_naming(root):  # noqa: ASYNC110  other processes' ends raise no event here
            await asyncio.sleep(0.02)


async def query(addresses: StackAddresses, statement: str) -> object:
    connection = await asyncpg.connect(addresses.database_url, ssl=False, timeout=PATIENCE_S)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def storage_of(environment: dict[str, str]) -> MinioStorage:
    return MinioStorage(
        environment["DIORAMA_STORE_ENDPOINT"],
        environment["DIORAMA_STORE_ACCESS_KEY"],
        environment["DIORAMA_STORE_SECRET_KEY"],
        environment["DIORAMA_STORE_BUCKET"],
    )


async def one_chunk(body: bytes) -> AsyncGenerator[bytes]:
    yield body


async def leave_traces(stack: LocalStack) -> None:
    """A row, an object and a workflow."""
    await query(stack.addresses(), "create table kept as select 'a row' as what")
    storage = storage_of(stack.environment())
    await storage.prepare()
    new = NewObject(key="kept/object", content_type="text/plain", sha256=hashlib.sha256(b"bytes").hexdigest())
    await storage.put(new, one_chunk(b"bytes"), 5)
    await storage.close()
    client = await connect(stack.addresses().temporal_address)
    await client.start_workflow("Kept", id="kept", task_queue="nobody-listens")


async def assert_traces(stack: LocalStack) -> None:
    assert await query(stack.addresses(), "select what from kept") == "a row"
    storage = storage_of(stack.environment())
    found = await storage.stat("kept/object")
    await storage.close()
    assert found.size_bytes == 5
    client = await connect(stack.addresses().temporal_address)
    assert (await client.get_workflow_handle("kept").describe()).workflow_type == "Kept"


async def test_what_was_stored_survives_a_stop_and_a_start_on_the_same_ports(root: Path) -> None:
    stack = LocalStack(root, services=SERVERS, options=FAST)
    first = await stack.start()
    await leave_traces(stack)
    await stop_and_check(stack)

    second = await stack.start()
    await assert_traces(stack)
    await stop_and_check(stack)

    assert first == second


async def stop_and_check(stack: LocalStack) -> None:
    await stack.stop()
    assert processes_of(stack.root) == []
    assert lock_holder(stack.root) is None


async def test_kill_9_of_the_supervisor_ends_every_process_and_loses_no_data(root: Path) -> None:
    stack = LocalStack(root, services=SERVERS, options=FAST)
    async with stack:
        await leave_traces(stack)

    async with supervisor_process(root) as supervisor:
        assert len(processes_of(root)) > len(SERVERS)
        supervisor.kill()
        await supervisor.wait()
        await nothing_left(root)

    async with stack:
        await assert_traces(stack)


async def test_kill_9_of_the_supervisor_ends_paused_processes_too(root: Path) -> None:
    async with supervisor_process(root) as supervisor:
        for process in processes_of(root):
            process.suspend()
        supervisor.kill()
        await supervisor.wait()
        await nothing_left(root)


async def test_a_start_right_after_kill_9_waits_until_the_field_is_clear(root: Path) -> None:
    async with supervisor_process(root) as supervisor:
        supervisor.kill()
        await supervisor.wait()
        async with LocalStack(root, services=SERVERS, options=FAST) as stack:
            assert await query(stack.addresses(), "select 1") == 1


async def test_ctrl_c_stops_the_stack_in_order(root: Path) -> None:
    async with supervisor_process(root) as supervisor:
        supervisor.send_signal(signal.SIGINT)
        output, _ = await supervisor.communicate()

        assert output == b"interrupted\n"
        assert processes_of(root) == []
        assert not (root / "postgres" / "data" / "postmaster.pid").exists()


async def test_two_stacks_in_two_folders_run_side_by_side(root: Path) -> None:
    async with (
        LocalStack(root / "one", services=SERVERS, options=FAST) as one,
        LocalStack(root / "two", services=SERVERS, options=FAST) as two,
    ):
        await leave_traces(one)

        assert await query(two.addresses(), "select to_regclass('kept')") is None
        await assert_traces(one)


async def test_a_second_start_in_the_same_folder_is_refused_and_the_first_is_found(root: Path) -> None:
    async with LocalStack(root, services=frozenset({"store"})) as first:
        with pytest.raises(StackAlreadyRunning) as refused:
            await LocalStack(root, services=frozenset({"store"})).start()

        assert refused.value.pid == os.getpid()
        assert await running(root) == first.addresses()
    assert await running(root) is None


async def test_a_stack_whose_service_is_down_does_not_count_as_running(root: Path) -> None:
    async with LocalStack(root, services=frozenset({"store"})) as stack:
        await stack.kill("store")

        assert await running(root) is None
        assert lock_holder(root) == os.getpid()


async def test_a_remembered_port_that_a_stranger_took_is_chosen_anew(root: Path) -> None:
    stack = LocalStack(root, services=frozenset({"store"}))
    before = await stack.start()
    await stack.stop()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of before may not be forgotten yet
        stranger.bind(("127.0.0.1", int(before.store_url.rpartition(":")[2])))
        stranger.listen()
        after = await stack.start()
        await stack.stop()

    assert after.store_url != before.store_url
    assert after.temporal_address == before.temporal_address


async def test_a_stale_postmaster_pid_that_names_a_living_stranger_does_not_stop_the_start(root: Path) -> None:
    stack = LocalStack(root, services=frozenset({"postgres"}), options=FAST)
    async with stack:
        stale = (root / "postgres" / "data" / "postmaster.pid").read_text()
    lines = [str(os.getpid()), *stale.splitlines()[1:]]
    (root / "postgres" / "data" / "postmaster.pid").write_text("\n".join(lines))

    async with stack:
        assert await query(stack.addresses(), "select 1") == 1


async def test_a_killed_service_stays_down_without_counting_as_failed_until_it_is_started(root: Path) -> None:
    async with LocalStack(root, services=frozenset({"postgres", "store"}), options=FAST) as stack:
        failure = asyncio.create_task(stack.wait_failed())
        await stack.kill("postgres")
        with pytest.raises(OSError, match="Connect call failed"):
            await query(stack.addresses(), "select 1")
        await stack.start_service("postgres")
        assert await query(stack.addresses(), "select 1") == 1
        assert not failure.done()

        await stack.restart("store")
        failure.cancel()


async def test_a_paused_service_stands_still_with_all_its_processes_and_goes_on(root: Path) -> None:
    async with LocalStack(root, services=frozenset({"postgres"}), options=FAST) as stack:
        stack.pause("postgres")
        paused = {process.status() for process in processes_of(root)}
        stack.resume("postgres")

        assert paused == {psutil.STATUS_STOPPED}
        assert await query(stack.addresses(), "select 1") == 1


async def test_a_service_that_ends_by_itself_is_told_with_its_last_lines(root: Path) -> None:
    async with LocalStack(root, services=frozenset({"postgres"}), options=FAST) as stack:
        pid = stack.pid("postgres")
        assert pid is not None
        os.kill(pid, signal.SIGINT)
        failure = await stack.wait_failed()

        assert failure.name == "postgres"
        assert failure.exit_code == 0
        assert any("fast shutdown" in line for line in failure.last_lines)


async def test_a_service_that_cannot_start_ends_the_others_and_says_why(root: Path) -> None:
    (root / "temporal").mkdir(parents=True)
    (root / "temporal" / "temporal.db").write_bytes(b"no database" * 500)
    told: list[tuple[str, str]] = []
    stack = LocalStack(root, services=SERVERS, options=FAST)

    with pytest.raises(ServiceFailed) as failed:
        await stack.start(lambda name, state: told.append((name, state)))

    assert failed.value.failure.name == "temporal"
    assert "not a database" in "".join(failed.value.failure.last_lines)
    assert ("temporal", "failed") in told
    assert processes_of(root) == []
    assert lock_holder(root) is None


async def test_a_folder_that_was_moved_still_has_everything(root: Path) -> None:
    async with LocalStack(root, services=SERVERS, options=FAST) as stack:
        await leave_traces(stack)
    await asyncio.to_thread(root.rename, root.with_name("moved"))

    async with LocalStack(root.with_name("moved"), services=SERVERS, options=FAST) as moved:
        await assert_traces(moved)


async def test_the_doctor_finds_a_migrated_stack_well_and_a_stopped_one_not(root: Path) -> None:
    stack = LocalStack(root, services=SERVERS | {"migrations"}, options=FAST)
    async with stack:
        environment = stack.environment()
        well = await diagnose(environment)
    ill = await diagnose(environment)

    assert [finding for finding in well if finding.level == "problem"] == []
    problems = [finding.what for finding in ill if finding.level == "problem"]
    assert len(problems) == 3
    assert any(what.startswith("The database at") for what in problems)
    assert any(what.startswith("Temporal at") for what in problems)
    assert any(what.startswith("The store at") for what in problems)


async def test_the_doctor_says_that_migrations_are_missing(root: Path) -> None:
    async with LocalStack(root, services=SERVERS, options=FAST) as stack:
        findings = await diagnose(stack.environment())

    assert [finding.what_to_do for finding in findings if finding.level == "problem"] == ["Run `diorama migrate`."]
