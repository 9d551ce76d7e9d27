"""What the OpenAPI document says, the API does: requests made from it by a machine, valid and invalid, against all real servers.

A whole local stack serves: API, worker, engine, PostgreSQL, store, and the sandbox providers.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from deploy.local import LocalStack, StackOptions
from deploy.process import Launch, Spawn, StackProcess
from deploy.programs import PYTHON
from deploy.stack_state import load_secrets
from tests.integration.api import patient_api
from tests.integration.api.running_api import AVATAR
from tests.integration.patience import HTTP_S

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
RULES = Path(__file__).with_name("schemathesis.toml")
ONE_TREE = Path(__file__).with_name("one_tree_at_a_time.py")
LONGEST_S = 480
# Of which the start of all servers has its part.
IN_ALL_S = LONGEST_S + 180
# An operator may say here that nothing more is to be made: asked for last.
SHUTTING = r"^/v1/(budgets|operations/lanes)"


@dataclass(frozen=True)
class Serving:
    """Where the API is, a key of the operator's, and what the API logs."""

    url: str
    key: str
    log: Path

    def failed_requests(self) -> str:
        """The causes of its 5xx, which no client is told."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines()
        return "\n".join(line for line in lines if "request.failed" in line or "probe.failed" in line)


def with_patient_api(spawn: Spawn) -> Spawn:
    """Starts programs as `spawn` does, the API as one that waits for a database that is slow: else a busy machine makes it say 503."""

    async def spawned(launch: Launch) -> StackProcess:
        is_api = tuple(launch.command) == (*PYTHON, "api")
        return await spawn(replace(launch, command=(*PYTHON, patient_api.__name__)) if is_api else launch)

    return spawned


@pytest.fixture(scope="module")
async def serving(tmp_path_factory: pytest.TempPathFactory, spawn: Spawn) -> AsyncIterator[Serving]:
    # OpenAI's calls name a size, and the fast drawings are not of it.
    options = StackOptions(fsync=False, sandbox_drawing="full", sandbox_duration_s=0.05)
    folder = tmp_path_factory.mktemp("specification")
    async with LocalStack(folder, options=options, spawn=with_patient_api(spawn)) as stack:
        secrets = load_secrets(stack.root)
        assert secrets is not None
        yield Serving(stack.addresses().api_url, secrets.bootstrap_api_key, stack.root / "logs" / "api.log")


async def checked(serving: Serving, folder: Path, *which: str) -> tuple[int | None, str]:
    """Ask for these operations; the exit code, 0 when all was as the document says, and what is told of the rest."""
    told = folder / "told.txt"
    with told.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            str(SCHEMATHESIS),
            *("--config-file", str(RULES), "run", f"{serving.url}/openapi.json", "--no-color", *which),
            env=os.environ | {"DIORAMA_KEY": serving.key, "SCHEMATHESIS_HOOKS": str(ONE_TREE)},
            cwd=folder,
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_S):
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, told.read_text("utf-8", errors="replace")


@pytest.mark.timeout(IN_ALL_S)
async def test_whatever_the_document_allows_or_forbids_is_answered_as_it_says(serving: Serving, tmp_path: Path) -> None:
    code, told = await checked(serving, tmp_path, "--exclude-path-regex", SHUTTING)

    assert code == 0, f"{told}\n{serving.failed_requests()}"
    headers = {"Authorization": f"Bearer {serving.key}"}
    async with httpx.AsyncClient(base_url=serving.url, headers=headers, timeout=HTTP_S) as client:
        made = (await client.get("/v1/generations")).json()
        one_more = await client.post("/v1/generations", json=AVATAR)
    assert made["items"] != [], "no request for a picture was accepted"
    assert one_more.status_code == 202, f"the service was shut on the way: {one_more.text}"


@pytest.mark.timeout(IN_ALL_S)
async def test_what_can_close_the_service_is_answered_as_the_document_says(serving: Serving, tmp_path: Path) -> None:
    code, told = await checked(serving, tmp_path, "--include-path-regex", SHUTTING)

    assert code == 0, f"{told}\n{serving.failed_requests()}"
