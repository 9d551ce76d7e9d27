"""`diorama codec` as a process: which pages it serves, how it ends, and what it says when it cannot begin."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from commands.codec import usual_origins
from deploy.addresses import stack_addresses
from deploy.stack_ports import LOOPBACK, PORT_NAMES, find_free_port
from deploy.stack_secrets import StackSecrets
from tests.integration.patience import HTTP_S

SETTINGS: Final = {
    "DATABASE_URL": "postgresql+asyncpg://nobody@localhost/nothing",
    "STORE_ENDPOINT": "http://127.0.0.1:9",
    "STORE_ACCESS_KEY": "nobody",
    "STORE_SECRET_KEY": "nothing",
    "API_KEY_PEPPER": "a pepper of the tests",
    "TOKEN_SECRET": "a secret of the tests",
    "PAYLOAD_KEYS": "first:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
}
ASKED: Final = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}


@contextmanager
def command(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "codec", *options, "--stack-dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={f"DIORAMA_{name}": value for name, value in SETTINGS.items()}
        | {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def allowed(url: str, origin: str) -> str | None:
    """The origin that the answer to a browser's preflight allows."""
    headers = httpx.options(f"{url}/decode", headers={**ASKED, "Origin": origin}, timeout=HTTP_S).headers
    return str(headers["Access-Control-Allow-Origin"]) if "Access-Control-Allow-Origin" in headers else None


def test_it_serves_pages_of_the_origins_that_were_named_as_people_copy_them_and_ends_quietly(tmp_path: Path) -> None:
    url = f"http://{LOOPBACK}:{(port := find_free_port())}"
    with command(tmp_path, "--port", str(port), "--origin", "http://127.0.0.1:31770/") as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        answers = [allowed(url, "http://127.0.0.1:31770"), allowed(url, "http://localhost:8233")]
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)

    assert said == f"The codec server listens on {url}, for pages of http://127.0.0.1:31770.\n"
    assert answers == ["http://127.0.0.1:31770", None]
    assert (process.returncode, complaints) == (130, "")


def test_a_port_that_is_taken_is_told_before_it_says_to_listen(tmp_path: Path) -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as other,
        command(tmp_path, "--port", str(port := other.getsockname()[1])) as process,
    ):
        said, complaints = process.communicate(timeout=30)

    assert (process.returncode, said) == (2, "")
    assert f"Nothing can listen on {LOOPBACK}:{port}" in complaints


@pytest.mark.parametrize("origin", ["localhost:8233", "http://localhost:8233/namespaces", "*"])
def test_what_is_no_origin_is_refused(origin: str, tmp_path: Path) -> None:
    with command(tmp_path, "--origin", origin) as process:
        _, complaints = process.communicate(timeout=30)

    assert (process.returncode, f"'{origin}' is no origin" in complaints) == (2, True), complaints


def test_the_web_ui_of_the_running_stack_is_served_without_being_named() -> None:
    stack = stack_addresses({name: 20_000 + place for place, name in enumerate(PORT_NAMES)}, StackSecrets())

    origins = usual_origins(stack)

    assert origins == [stack.temporal_ui_url, "http://localhost:20003", "http://localhost:8233"]
    assert usual_origins(None) == ["http://localhost:8233"]
