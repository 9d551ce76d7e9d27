"""A talk of the unmodified 2.x client with the sandbox: prints what it saw as one JSON object.

Run with the folder of `install.py replicate-2` on PYTHONPATH; the argument is the address with /v1.
"""

import asyncio
import io
import json
import sys
from importlib import metadata
from typing import Any

import replicate  # type: ignore[import-untyped,unused-ignore]


async def talk(base_url: str) -> dict[str, Any]:
    """Create, wait, get, cancel, list, files, run, errors."""
    client: Any = replicate.AsyncReplicate(bearer_token="r8_test", base_url=base_url, max_retries=0)  # type: ignore[attr-defined,unused-ignore]
    seen: dict[str, Any] = {"version": metadata.version("replicate")}
    create = client.models.predictions.create

    made = await create(model_owner="openai", model_name="gpt-image-2", input={"prompt": "a lake"}, cancel_after="5m")
    seen["created"] = {"status": made.status, "deadline": str(made.deadline)}
    while made.status in ("starting", "processing"):
        made = await client.predictions.get(prediction_id=made.id)
    seen["ended"] = {"status": made.status, "output": made.output, "predict_time": made.metrics.predict_time}

    held = await create(model_owner="openai", model_name="gpt-image-2", input={"prompt": "a hill"}, prefer="wait=60")
    seen["held"] = {"status": held.status, "output": str(held.output)[:60]}

    stuck = await create(
        model_owner="openai", model_name="gpt-image-2", input={"prompt": "a sea [[sandbox fault=stuck]]"}
    )
    seen["canceled"] = (await client.predictions.cancel(prediction_id=stuck.id)).status
    seen["listed"] = [one.id async for one in client.predictions.list()]

    file = await client.files.create(content=("note.txt", io.BytesIO(b"a note"), "text/plain"))
    seen["file"] = {
        "size": file.size,
        "content_type": file.content_type,
        "found": (await client.files.get(file_id=file.id)).id,
    }
    seen["secret"] = (await client.webhooks.default.secret.get()).key
    seen["account"] = (await client.account.get()).username

    picture = await client.run("openai/gpt-image-2", input={"prompt": "a moor", "output_format": "png"})
    seen["run"] = [(await one.read())[:4].hex() for one in picture]
    for name, prompt in {"unprocessable": {}, "throttled": {"prompt": "[[sandbox fault=rate_limited]]"}}.items():
        try:
            await create(model_owner="openai", model_name="gpt-image-2", input=prompt)
        except replicate.APIStatusError as error:  # type: ignore[attr-defined,unused-ignore]
            seen[name] = {"error": type(error).__name__, "status": error.status_code}
    return seen


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(talk(sys.argv[1]))))
