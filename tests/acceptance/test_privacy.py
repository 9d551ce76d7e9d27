"""Prompts stay where they belong: in the rows of their generation and their purchases, and nowhere else, whatever happens."""

import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from websockets.asyncio.client import connect as connect_websocket

from deploy.local import LocalStack, StackOptions
from deploy.process import Spawn
from temporal_client import connect
from tests.acceptance.client import LONG, PATIENCE_S, Diorama, Json, chain, only_avatar
from tests.acceptance.everywhere import histories_with, lines_with, rows_with
from tests.hook_receiver import HookReceiver
from tests.integration.api.running_api import png

# What can become of a purchase, at each kind of provider, that is told in other words.
TROUBLES = ("input_policy", "output_policy", "model_error", "input_refused", "insufficient_credit", "unauthenticated")
# A prompt is a column of these, and is read from there alone.
AT_HOME = {"generation", "spend"}


@pytest.fixture(scope="module")
async def stack(
    tmp_path_factory: pytest.TempPathFactory, hooks: HookReceiver, spawn: Spawn
) -> AsyncIterator[LocalStack]:
    """A stack that logs all it can."""
    settings = {"DIORAMA_WEBHOOK_HOSTS": hooks.host_and_port, "DIORAMA_LOG_LEVEL": "DEBUG"}
    options = StackOptions(fsync=False, sandbox_drawing="fast", sandbox_duration_s=0.3, settings=settings)
    async with LocalStack(tmp_path_factory.mktemp("private"), options=options, spawn=spawn) as stack:
        yield stack


@pytest.fixture
def word() -> str:
    """A word that is nowhere else."""
    return f"zwerg{uuid4().hex}"


async def refused(diorama: Diorama, word: str) -> None:
    """Requests that are not accepted: of no form, forbidden, unaffordable, for what there is not."""
    bodies: list[Json] = [
        {"kind": word},
        {"kind": "avatar", "avatar": {"description": word, "size": word}, "session_id": f"{word} !"},
        {"kind": "image", "prompt": f"{word}\u0000"},
        {"kind": "image", "prompt": f"sieg heil {word}"},
        {"kind": "image", "prompt": word, "max_cost_usd": "0.000001"},
        {"kind": "image", "prompt": word, "model": f"nobody/{word}"},
        {"kind": "scene", "scene": {"theme": "aurora-night", "details": word}, "image_url": f"http://127.0.0.1/{word}"},
        {"kind": "scene", "scene": {"theme": word, "details": word}, "avatar_asset_id": str(uuid4())},
    ]
    for body in bodies:
        answer = await diorama.http.post("/v1/generations", json=body)
        assert 400 <= answer.status_code < 500, answer.text
    broken = await diorama.http.post(
        "/v1/generations", content=f'{{"prompt": "{word}', headers={"Content-Type": "application/json"}
    )
    assert broken.status_code in {400, 422}
    await diorama.http.post("/v1/images/generations", json={"prompt": word, "model": word})


async def went_well_or_stopped(diorama: Diorama, word: str) -> list[str]:
    """Generations of all kinds, at both kinds of provider, and one that was canceled."""
    upload = (await diorama.http.post("/v1/assets", content=png(), headers={"Content-Type": "image/png"})).json()
    bodies = [
        chain(avatar=f", {word}", scene=word, session_id=word, user_id=word, tags=[word[:40]]),
        {"kind": "image", "prompt": word, "count": 2, "image_asset_ids": [upload["id"]]},
        only_avatar(f", {word}", provider="openai"),
    ]
    ids = [str((await diorama.post(body, **{"Idempotency-Key": f"{word}-{n}"}))["id"]) for n, body in enumerate(bodies)]
    slow = await diorama.post(only_avatar(f", {word} {LONG}", providers=["replicate"]))
    await diorama.bought(slow["id"])
    await diorama.cancel(slow["id"])
    return [*ids, str(slow["id"])]


async def failed(diorama: Diorama, word: str) -> list[str]:
    """Generations that fail at each provider in each way; some ways keep others waiting to their deadline."""
    bodies = [
        only_avatar(f", {word} [[sandbox fault={trouble}]]", providers=[provider], deadline_s=15)
        for trouble in TROUBLES
        for provider in ("replicate", "openai")
    ]
    return [str((await diorama.post(body))["id"]) for body in bodies]


async def given_up(diorama: Diorama) -> None:
    """Decide about purchases whose answer was lost at a provider that cannot be asked, as an operator does."""
    reviews = "/v1/operations/reviews"
    for one in (await diorama.http.get(reviews)).json()["items"]:
        decision = {"action": "accept_lost", "note": "nobody knows"}
        (await diorama.http.post(f"{reviews}/{one['spend_id']}", json=decision)).raise_for_status()
        await diorama.until(partial(diorama.get, one["generation_id"]), lambda seen: seen["status"] == "failed")


async def followed(diorama: Diorama, generation_id: str) -> None:
    """Both ways to follow a generation send its request to its owner."""
    async with diorama.http.stream("GET", f"/v1/generations/{generation_id}/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event: generation.") and "running" not in line:
                break
    url = diorama.stack.addresses().api_url.replace("http://", "ws://")
    following = connect_websocket(
        f"{url}/v1/generations/{generation_id}/ws",
        additional_headers={"Authorization": diorama.http.headers["Authorization"]},
        proxy=None,
        open_timeout=PATIENCE_S,
    )
    async with following as socket:
        assert json.loads(await socket.recv())


async def figures(diorama: Diorama) -> str:
    """What both processes tell Prometheus."""
    addresses = diorama.stack.addresses()
    worker = f"http://127.0.0.1:{addresses.worker_health_port}/metrics"
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        told = [await http.get(url) for url in (f"{addresses.api_url}/metrics", worker)]
    assert all(one.status_code == 200 for one in told), [one.status_code for one in told]
    return "".join(one.text for one in told)


@pytest.mark.timeout(300)
async def test_a_prompt_is_in_no_log_no_figure_no_audit_and_no_history(diorama: Diorama, word: str) -> None:
    await refused(diorama, word)
    ids = await went_well_or_stopped(diorama, word)
    ended = [await diorama.ended(one) for one in ids]
    ids += await failed(diorama, word)
    ended += [await diorama.ended(one, within_s=150) for one in ids[len(ended) :]]
    await given_up(diorama)
    await followed(diorama, ids[0])
    await diorama.http.post("/v1/quotes", json=only_avatar(f", {word}"))

    assert {one["status"] for one in ended} >= {"succeeded", "failed", "canceled"}
    assert lines_with(Path(diorama.stack.root), word) == []
    assert word not in await figures(diorama)
    assert {row.partition(":")[0] for row in await rows_with(diorama, word)} <= AT_HOME
    async with diorama.database.transaction() as session:
        told = "select count(*) from generation where concat(error, result, rollback, stage, acceptance) like :word"
        remembered = "select count(*) from spend where error_facts::text like :word"
        for query in (told, remembered):
            found = await (await session.connection()).execute(text(query), {"word": f"%{word}%"})
            assert found.scalar_one() == 0
    client = await connect(diorama.stack.environment()["DIORAMA_TEMPORAL_ADDRESS"])
    workflows = [found.id async for found in client.list_workflows("")]
    assert len(workflows) >= len(ids)
    assert await histories_with(client, word, workflows) == []
