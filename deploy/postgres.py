"""PostgreSQL as a service of the stack."""

import shutil
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import asyncpg

from deploy.addresses import DATABASE_NAME, DATABASE_USER
from deploy.binaries import postgres_program
from deploy.failures import DataOfAnotherVersion, NotReadyYet, SecretsDoNotFit
from deploy.process import SYSTEM_USER
from deploy.service import CommandRunner, Identity, Service
from deploy.stack_ports import LOOPBACK
from deploy.stack_secrets import StackSecrets

# The API's and the worker's pools together stay far below it.
MAX_CONNECTIONS = 200
# What a starting server answers, beside refusing connections.
STARTING = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def postgres_service(
    folder: Path,
    *,
    port: int,
    secrets: StackSecrets,
    environment: Mapping[str, str],
    identity: Identity,
    fsync: bool,
) -> Service:
    """The database server, over TCP with a password. Raises BinaryMissing."""
    return Service(
        name="postgres",
        command=(postgres_program("postgres"), "-D", str(folder / "data"), *_settings(port, fsync=fsync)),
        environment=environment,
        folder=folder,
        ready=partial(_ready, port, secrets.postgres_password),
        ports=frozenset({"postgres"}),
        before_start=partial(_prepare, folder, secrets.postgres_password, identity),
        identity=identity,
        # "Fast": ends the sessions and writes a checkpoint; SIGTERM would wait for clients to leave.
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        grace_s=10,
    )


def _settings(port: int, *, fsync: bool) -> list[str]:
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": str(MAX_CONNECTIONS),
        "shared_buffers": "64MB",
        # Our queries take milliseconds; compiling them takes longer.
        "jit": "off",
        # Commits still reach the kernel when fsync is off: they survive the end of the process, not of the machine.
        "fsync": "on" if fsync else "off",
        "full_page_writes": "on" if fsync else "off",
        "log_checkpoints": "off",
        # Without the details: those of a refused row are its values, prompts among them.
        "log_error_verbosity": "terse",
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


async def _prepare(folder: Path, password: str, identity: Identity, run: CommandRunner) -> None:
    data = folder / "data"
    if data.exists():
        _check_version(data)
        # We hold the stack's lock and have ended what was left, so a process id in it is stale, or a stranger's by now.
        (data / "postmaster.pid").unlink(missing_ok=True)
        return
    unfinished = folder / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    password_file = folder / "password.new"
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if identity == "system_user":
        shutil.chown(password_file, SYSTEM_USER)
    try:
        await run(_initdb(unfinished, password_file))
    finally:
        password_file.unlink()
    unfinished.rename(data)


def _initdb(data: Path, password_file: Path) -> list[str]:
    # The builtin locale is the same on every machine, whatever is installed there. What the server writes at its first
    # checkpoint is synced as `fsync` says; syncing the empty templates on top would take most of the time.
    return [
        *(postgres_program("initdb"), "-D", str(data), "--no-sync", "--no-instructions"),
        *("-U", DATABASE_USER, "--auth=scram-sha-256", f"--pwfile={password_file}"),
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]


def _check_version(data: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    wanted = installed_major_version()
    if found != wanted:
        raise DataOfAnotherVersion(data, found, wanted)


def installed_major_version() -> str:
    """The major version of the installed server, from the file in which initdb looks too. Raises BinaryMissing."""
    bootstrap = Path(postgres_program("postgres")).parent.parent / "share" / "postgres.bki"
    with bootstrap.open() as file:
        return file.readline().removeprefix("# PostgreSQL ").strip()


async def _ready(port: int, password: str) -> None:
    """Ready means that our database exists and lets us in."""
    try:
        try:
            await _connect_once(port, password, DATABASE_NAME)
        except asyncpg.InvalidCatalogNameError:
            await _create_database(port, password)
    except asyncpg.InvalidAuthorizationSpecificationError as refusal:
        raise SecretsDoNotFit("database") from refusal
    except STARTING as trouble:
        raise NotReadyYet(f"the database does not answer: {trouble}") from trouble


async def _connect_once(port: int, password: str, database: str, statement: str = "select 1") -> None:
    connection = await asyncpg.connect(
        host=LOOPBACK,
        port=port,
        user=DATABASE_USER,
        password=password,
        database=database,
        ssl=False,
        timeout=2,
    )
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _create_database(port: int, password: str) -> None:
    await _connect_once(port, password, "postgres", f'create database "{DATABASE_NAME}"')
