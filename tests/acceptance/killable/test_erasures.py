"""Being forgotten, on the whole stack: pictures, words and objects go, amounts stay, and the receipt is true."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from contracts.erasures import Receipt
from contracts.receipts import Receipts
from tests.acceptance.client import LONG, Diorama, Json, answered, only_avatar
from tests.acceptance.everywhere import histories_with, keys_with, lines_with, rows_with
from tests.acceptance.killable.test_exactly_once import engine_of
from tests.crash.boundaries import Boundary
from tests.crash.points import ArmedPoints
from tests.hook_receiver import HookReceiver
from tests.integration.api.running_api import png

# The crash lab ends the worker at all the others.
IN_THE_MIDDLE = Boundary("worker", "erasure.redact", "after")


@pytest.fixture
def word() -> str:
    """A word that is nowhere else."""
    return f"zwerg{uuid4().hex}"


@dataclass(frozen=True)
class Endpoint:
    """A webhook endpoint at `path` of the receiver; nobody may ever be told `word` there."""

    path: str
    word: str


@pytest.fixture
async def endpoint(diorama: Diorama, hooks: HookReceiver, word: str) -> AsyncIterator[Endpoint]:
    path = uuid4().hex
    answer = await diorama.http.post("/v1/webhook-endpoints", json={"url": hooks.url(path)})
    assert answer.status_code == 201, answer.text
    yield Endpoint(path, word)
    await diorama.http.delete(answer.json()["links"]["self"])


async def amounts(diorama: Diorama, ids: list[str]) -> dict[str, Decimal]:
    """What the accounts say: by generations, by purchases, by budget periods."""
    queries = {
        "generations": "select coalesce(sum(cost_usd), 0) from generation where id = any(:ids)",
        "purchases": "select coalesce(sum(cost_usd), 0) from spend where generation_id = any(:ids)",
    }
    async with diorama.database.transaction() as session:
        connection = await session.connection()
        values = {"ids": [UUID(one) for one in ids]}
        return {name: (await connection.execute(text(query), values)).scalar_one() for name, query in queries.items()}


async def erased(diorama: Diorama, erasure: Json) -> Json:
    async def look() -> Json:
        answer: Json = (await answered(lambda: diorama.http.get(erasure["links"]["self"]))).json()
        return answer

    found: Json = await diorama.until(look, lambda seen: seen["verified_at"] is not None, within_s=150)
    return found


async def worker_died(diorama: Diorama) -> None:
    async def pid() -> Any:
        return diorama.stack.pid("worker")

    await diorama.until(pid, lambda found: found is None, within_s=150)


def told(diorama: Diorama, erasure: Json) -> Receipt:
    """The receipt, when this service's secret proves it."""
    receipt = Receipt.model_validate(erasure["receipt"])
    assert Receipts(diorama.stack.environment()["DIORAMA_TOKEN_SECRET"]).wrote(receipt)
    return receipt


@pytest.mark.timeout(300)
async def test_a_user_is_forgotten_although_the_worker_is_killed_in_the_middle(
    diorama: Diorama, points: ArmedPoints, hooks: HookReceiver, endpoint: Endpoint
) -> None:
    word = endpoint.word
    about = {"user_id": f"u-{word}", "session_id": f"s-{word}", "tags": [f"t-{word[:40]}"]}
    picture = {"Content-Type": "image/png"}
    own = png(64, 64)
    upload = (await diorama.http.post("/v1/assets", content=own, headers=picture)).json()
    ended = [await diorama.post(only_avatar(f", {word}", **about), **{"Idempotency-Key": word})]
    from_upload = {"kind": "image", "prompt": f"like this, {word}", "image_asset_ids": [upload["id"]], **about}
    ended.append(await diorama.post(from_upload))
    for one in ended:
        await diorama.ended(one["id"])
    other = await diorama.ended((await diorama.post(only_avatar(user_id="somebody-else")))["id"])
    before = await amounts(diorama, [one["id"] for one in ended])
    hooks.statuses[:] = [500]  # what is told of the next end is still on its way when that is erased
    running = await diorama.post(only_avatar(f", running {word} {LONG}", **about))
    await diorama.bought(running["id"])
    assert await rows_with(diorama, word)

    points.arm(IN_THE_MIDDLE, "kill")
    answer = await diorama.http.post("/v1/erasures", json={"user_id": about["user_id"]})
    assert answer.status_code == 202, answer.text
    hidden = [(await diorama.http.get(f"/v1/generations/{one['id']}")).status_code for one in [*ended, running]]
    await worker_died(diorama)
    await diorama.stack.start_service("worker")
    verified = await erased(diorama, answer.json())

    assert points.has_fired(IN_THE_MIDDLE)
    assert hidden == [404, 404, 404]
    ids = [one["id"] for one in [*ended, running]]
    assert await rows_with(diorama, word) == []
    assert await rows_with(diorama, hashlib.sha256(own).hexdigest()[:16]) == []  # as much of it as keys hold
    assert await keys_with(diorama, *ids, upload["id"]) == []
    assert (await diorama.http.get(f"/v1/assets/{upload['id']}")).status_code == 410
    assert lines_with(Path(diorama.stack.root), word) == []
    assert await amounts(diorama, [one["id"] for one in ended]) == before
    receipt = told(diorama, verified)
    assert (receipt.generations, receipt.pictures, receipt.objects_left) == (3, 3, 0)
    assert receipt.subject_hash != hashlib.sha256(f"u-{word}".encode()).hexdigest()  # it takes a secret to tell it
    assert (await diorama.get(other["id"]))["status"] == "succeeded"
    async with engine_of(diorama.stack) as client:
        workflows = [f"generation/{one}" for one in ids] + [f"erasure/{verified['id']}"]
        assert await histories_with(client, word, workflows) == []
    posted = await hooks.until(len(ids) + 2, endpoint.path)
    assert [arrived for arrived in posted if word.encode() in arrived.body] == []


async def test_a_session_that_nobody_knows_is_forgotten_with_a_receipt_that_there_was_nothing(diorama: Diorama) -> None:
    answer = await diorama.http.post("/v1/erasures", json={"session_id": uuid4().hex})
    receipt = told(diorama, await erased(diorama, answer.json()))

    assert (receipt.generations, receipt.objects_removed, receipt.rows_redacted) == (0, 0, 0)


async def test_what_others_start_from_stays_when_one_of_them_is_forgotten(diorama: Diorama, word: str) -> None:
    headers = {"Content-Type": "image/png"}
    upload = (await diorama.http.post("/v1/assets", content=png(50, 50), headers=headers)).json()
    both = {"kind": "image", "prompt": "like this", "image_asset_ids": [upload["id"]]}
    mine = await diorama.post({**both, "session_id": word})
    theirs = await diorama.post({**both, "session_id": f"other-{word}"})
    for one in (mine, theirs):
        await diorama.ended(one["id"])

    answer = await diorama.http.post("/v1/erasures", json={"session_id": word})
    receipt = told(diorama, await erased(diorama, answer.json()))

    assert (receipt.generations, receipt.pictures) == (1, 1)
    assert (await diorama.http.get(f"/v1/assets/{upload['id']}")).status_code == 200
    assert (await diorama.get(theirs["id"]))["pictures"]
