"""Looks at this machine: the ports we listen on, the disk, the server programs of the local stack."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil

from config import Settings
from deploy.binaries import postgres_program, store_program, temporal_program
from deploy.failures import BinaryMissing, NotReadyYet
from deploy.finding import Finding, ok, problem, warning
from deploy.health import answers_ok
from deploy.stack_ports import LOOPBACK, is_free

PROGRAM_TIMEOUT_S = 10.0
GIB = 1024**3
# A few hundred pictures; below that the database may stop in the middle of a checkpoint.
DISK_PROBLEM_BYTES = GIB // 2
DISK_WARNING_BYTES = 5 * GIB


async def check_ports(settings: Settings) -> list[Finding]:
    """The API's and the worker's port: free, or held by a healthy API and worker."""
    named = {"DIORAMA_API_PORT": settings.api_port, "DIORAMA_WORKER_HEALTH_PORT": settings.worker_health_port}
    return list(await asyncio.gather(*(_check_port(name, port) for name, port in named.items())))


async def _check_port(name: str, port: int) -> Finding:
    if is_free(port):
        return ok(f"Port {port} ({name}) is free", "Nothing of ours listens there now.")
    try:
        await answers_ok(f"http://{LOOPBACK}:{port}/readyz")
    except NotReadyYet as trouble:
        todo = f"End that program, choose another {name}, or wait if it is ours and still starting."
        return warning(f"Port {port} ({name}) is taken by {_listener(port)}", trouble.detail, todo)
    return ok(f"Port {port} ({name}) is served and ready")


def _listener(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "another program"
    for connection in connections:
        address, pid = connection.laddr, connection.pid
        if pid and address and connection.status == psutil.CONN_LISTEN and address.port == port:
            return f"{psutil.Process(pid).name()} (process {pid})"
    return "another program"


def check_disk(folder: Path) -> list[Finding]:
    """Room for pictures and for the database's log."""
    free = shutil.disk_usage(folder).free
    what = f"{free / GIB:.1f} GiB are free in {folder}"
    todo = "Make room, or keep the stack's folder on another disk."
    if free < DISK_PROBLEM_BYTES:
        return [problem(what, "The database and the store stop when the disk is full.", todo)]
    if free < DISK_WARNING_BYTES:
        return [warning(what, "A thousand pictures take about 2 GiB.", todo)]
    return [ok(what)]


async def check_programs() -> list[Finding]:
    """The server programs of the local stack, with their versions."""
    finders = {"postgres": postgres_program_path, "temporal": temporal_program, "juicefs": store_program}
    return list(await asyncio.gather(*(_check_program(name, find) for name, find in finders.items())))


def postgres_program_path() -> str:
    """The installed database server. Raises BinaryMissing."""
    return postgres_program("postgres")


async def _check_program(name: str, find: Callable[[], str]) -> Finding:
    try:
        path = find()
    except BinaryMissing as missing:
        return warning(f"{name} is not installed", f"{missing.detail} `diorama up` needs it.", missing.suggestion)
    try:
        async with asyncio.timeout(PROGRAM_TIMEOUT_S):
            version = await _version(path)
    except (OSError, TimeoutError) as trouble:
        todo = "Install it again: pip install --force-reinstall 'diorama[stack]'"
        return problem(f"{name} does not run", str(trouble) or type(trouble).__name__, todo)
    return ok(version, path)


async def _version(path: str) -> str:
    program = await asyncio.create_subprocess_exec(
        *(path, "--version"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await program.communicate()
    except BaseException:
        program.kill()
        await program.wait()
        raise
    return output.decode(errors="replace").strip()
