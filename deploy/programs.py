"""Our own programs as services of the stack: the sandbox providers, the migrations, the API, the worker."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from deploy.health import answers_ok
from deploy.options import StackOptions
from deploy.schema_mark import SchemaMark
from deploy.service import Service
from deploy.stack_ports import LOOPBACK
from deploy.stack_secrets import StackSecrets

# -P keeps the working folder, which may hold anything, out of the import path.
PYTHON = (sys.executable, "-P", "-m")


def sandbox_service(
    folder: Path,
    *,
    port: int,
    secrets: StackSecrets,
    options: StackOptions,
    environment: Mapping[str, str],
) -> Service:
    """The stand-in providers."""
    arguments = {
        "--port": port,
        "--data-dir": folder,
        "--drawing": options.sandbox_drawing,
        "--duration": f"{options.sandbox_duration_s:g}",
        "--replicate-token": secrets.replicate_api_token,
        "--openai-key": secrets.openai_api_key,
        "--getimg-key": secrets.getimg_api_key,
        "--wavespeed-key": secrets.wavespeed_api_key,
        "--webhook-secret": secrets.webhook_secret,
    }
    return Service(
        name="sandbox",
        command=(*PYTHON, "sandbox", *(str(word) for pair in arguments.items() for word in pair)),
        environment=environment,
        folder=folder,
        ready=partial(answers_ok, f"http://{LOOPBACK}:{port}/healthz"),
        ports=frozenset({"sandbox"}),
    )


def migrations_service(folder: Path, *, mark: SchemaMark, environment: Mapping[str, str]) -> Service:
    """Brings the database to the newest schema, leaves the mark that says so, and ends."""
    return Service(
        name="migrations",
        command=(*PYTHON, "db.migrate", str(mark.file), mark.digest),
        environment=environment,
        folder=folder,
        after=frozenset({"postgres"}),
        runs_to_end=True,
    )


def api_service(folder: Path, *, port: int, environment: Mapping[str, str]) -> Service:
    """The HTTP API."""
    return Service(
        name="api",
        command=(*PYTHON, "api"),
        environment=environment,
        folder=folder,
        ready=partial(answers_ok, f"http://{LOOPBACK}:{port}/readyz"),
        after=frozenset({"migrations", "postgres", "store"}),  # the engine and the providers may come later
        ports=frozenset({"api"}),
        grace_s=10,
    )


def worker_service(folder: Path, *, health_port: int, environment: Mapping[str, str]) -> Service:
    """The Temporal worker; its grace is above its own DIORAMA_WORKER_GRACE_S of 10 s."""
    return Service(
        name="worker",
        command=(*PYTHON, "worker"),
        environment=environment,
        folder=folder,
        ready=partial(answers_ok, f"http://{LOOPBACK}:{health_port}/readyz"),
        after=frozenset({"migrations", "postgres", "temporal", "store"}),
        ports=frozenset({"worker_health"}),
        grace_s=15,
    )
