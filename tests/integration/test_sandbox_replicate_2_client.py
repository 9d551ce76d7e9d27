"""The unmodified replicate 2.x client talks to the sandbox; it cannot be imported beside 1.x, so it runs on its own."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.clients.install import installed
from tests.sandbox_server import start_sandbox

CONVERSATION = Path(__file__).parents[1] / "clients" / "replicate_2_conversation.py"


@pytest.mark.timeout(300)
async def test_the_second_generation_client_understands_every_answer(tmp_path: Path) -> None:
    folder = await asyncio.to_thread(installed, "replicate-2")

    async with start_sandbox(tmp_path) as sandbox:
        talk = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CONVERSATION),
            f"{sandbox.replicate_url}/v1",
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdout=asyncio.subprocess.PIPE,
        )
        answer, _ = await talk.communicate()
        charges = await sandbox.charges()

    seen = json.loads(answer)
    assert seen["version"].startswith("2.")
    assert seen["created"]["status"] == "starting"
    assert seen["ended"]["status"] == "succeeded"
    assert seen["held"]["status"] == "processing"
    assert seen["held"]["output"].startswith("['data:image/webp;base64,")
    assert seen["canceled"] == "canceled"
    assert len(seen["listed"]) == 3
    assert seen["run"] == [b"\x89PNG".hex()]
    assert seen["unprocessable"] == {"error": "UnprocessableEntityError", "status": 422}
    assert seen["throttled"] == {"error": "RateLimitError", "status": 429}
    assert len(charges) == 4
