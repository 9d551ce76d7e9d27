"""Whole lives of generations on the whole stack: success, failure with roll-back, cancellation."""

import hashlib
import json
from uuid import UUID

import pytest

from contracts.statuses import Billed, SpendState, Status
from db.models import Generation
from imaging.inspect import inspect
from tests.acceptance.client import Diorama, chain, only_avatar


async def test_a_chain_ends_with_an_avatar_and_a_scene_of_exactly_the_wanted_pixels(diorama: Diorama) -> None:
    await diorama.settings(drawing="full")
    body = chain()
    body["avatar"]["size"] = "1024x1024"
    body["scene"]["size"] = "1920x1080"
    accepted = await diorama.post(body)
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "succeeded", ended["error"]
    sizes = {}
    for picture in ended["pictures"]:
        data = await diorama.bytes_of(picture)
        facts = inspect(data, max_bytes=40_000_000)
        sizes[picture["step"]] = (facts.width, facts.height)
        assert hashlib.sha256(data).hexdigest() == picture["sha256"]
    assert sizes == {"avatar": (1024, 1024), "scene": (1920, 1080)}
    assert len(await diorama.charges(accepted["id"])) == 2


async def test_the_asset_remembers_which_prompt_and_model_made_it(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar())
    ended = await diorama.ended(accepted["id"])
    asset = (await diorama.http.get(ended["pictures"][0]["links"]["self"])).json()
    (spend,) = await diorama.spends(accepted["id"])

    assert asset["model"] == "openai/gpt-image-2.5-flare"
    assert spend.prompt_name == "avatar"
    assert spend.prompt_hash in json.dumps(asset)


async def test_a_refused_scene_takes_the_avatar_back_and_says_so(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(scene="[[sandbox fault=output_policy]]"))
    ended = await diorama.ended(accepted["id"])
    avatar, scene = await diorama.spends(accepted["id"])

    assert (ended["status"], ended["error"]["code"], ended["error"]["step"]) == ("failed", "policy_refused", "scene")
    assert ended["pictures"] == []
    assert [report["step"] for report in ended["rollback"]] == ["scene", "avatar"]
    assert len(ended["rollback"][1]["deleted_assets"]) == 1
    assert avatar.state is SpendState.settled
    assert scene.error_code == "policy_refused"


async def test_a_deleted_avatar_can_no_longer_be_read(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(scene="[[sandbox fault=output_policy]]"))
    ended = await diorama.ended(accepted["id"])
    (asset_id,) = ended["rollback"][1]["deleted_assets"]

    response = await diorama.http.get(f"/v1/assets/{asset_id}/content")

    assert response.status_code in {404, 410}


async def test_a_scene_from_an_earlier_avatar(diorama: Diorama) -> None:
    first = await diorama.ended((await diorama.post(only_avatar()))["id"])
    asset_id = first["pictures"][0]["asset_id"]

    body = {"kind": "scene", "avatar_asset_id": asset_id, "scene": {"theme": "moon-base", "size": "native"}}
    ended = await diorama.ended((await diorama.post(body))["id"])

    assert ended["status"] == "succeeded", ended["error"]
    assert [picture["step"] for picture in ended["pictures"]] == ["scene"]


@pytest.mark.parametrize("step", ["avatar", "scene"])
async def test_a_cancel_while_waiting_takes_effect_at_once_and_leaves_nothing(diorama: Diorama, step: str) -> None:
    accepted = await diorama.post(chain(**{step: "[[sandbox fault=stuck]]"}))
    await diorama.bought(accepted["id"], step)
    answer = await diorama.cancel(accepted["id"])
    ended = await diorama.ended(accepted["id"])  # the job is stuck: it would never end by itself
    last = (await diorama.spends(accepted["id"]))[-1]
    jobs = (await diorama.sandbox.get("/admin/jobs")).json()

    assert answer.status_code == 202
    assert ended["status"] == "canceled"
    assert next(job for job in jobs if job["id"] == last.provider_job_id)["status"] == "canceled"


async def test_a_cancel_while_a_picture_is_downloaded_leaves_nothing(diorama: Diorama) -> None:
    accepted = await diorama.post(chain(scene="[[sandbox fault=slow_download bytes_per_s=50]]"))
    await diorama.bought(accepted["id"], "scene")

    async def journal() -> list[dict[str, object]]:
        rows: list[dict[str, object]] = (await diorama.sandbox.get("/admin/journal?operation=delivery")).json()
        return rows

    before = len(await journal())
    await diorama.until(journal, lambda rows: len(rows) > before or len(rows) >= 2)
    await diorama.cancel(accepted["id"])
    ended = await diorama.ended(accepted["id"])  # the download would take hours

    assert ended["status"] == "canceled"


async def test_a_cancel_in_the_queue_buys_nothing(diorama: Diorama) -> None:
    await diorama.stack.kill("worker")
    accepted = await diorama.post(chain())
    await diorama.cancel(accepted["id"])
    await diorama.stack.start_service("worker")
    ended = await diorama.ended(accepted["id"])

    assert ended["status"] == "canceled"
    assert await diorama.spends(accepted["id"]) == []


async def test_canceling_what_has_ended_is_refused_and_canceling_twice_is_not(diorama: Diorama) -> None:
    done = await diorama.ended((await diorama.post(only_avatar()))["id"])
    late = await diorama.http.post(done["links"]["cancel"])
    stuck = await diorama.post(only_avatar("[[sandbox fault=stuck]]"))
    await diorama.bought(stuck["id"])
    answers = [await diorama.cancel(stuck["id"]) for _ in range(2)]
    await diorama.ended(stuck["id"])
    again = await diorama.http.post(stuck["links"]["cancel"])

    assert (late.status_code, late.json()["code"]) == (409, "already_final")
    assert [answer.status_code for answer in answers] == [202, 202]
    assert again.status_code in {200, 202}


async def test_a_picture_that_takes_too_long_is_stopped_at_the_provider(diorama: Diorama) -> None:
    accepted = await diorama.post(only_avatar("[[sandbox fault=stuck]]", deadline_s=12))
    ended = await diorama.ended(accepted["id"])
    (spend,) = await diorama.spends(accepted["id"])
    jobs = (await diorama.sandbox.get("/admin/jobs")).json()

    assert ended["error"]["code"] in {"deadline_exceeded", "job_canceled"}
    assert next(job for job in jobs if job["id"] == spend.provider_job_id)["status"] == "canceled"
    assert spend.billed is Billed.yes


async def test_a_deleted_session_leaves_no_picture_and_stops_what_still_runs(diorama: Diorama) -> None:
    done = await diorama.ended((await diorama.post(only_avatar(session_id="holiday")))["id"])
    stuck = await diorama.post(only_avatar("[[sandbox fault=stuck]]", session_id="holiday"))
    await diorama.bought(stuck["id"])
    answer = await diorama.http.delete("/v1/sessions/holiday")
    asset_id = done["pictures"][0]["asset_id"]

    async def objects() -> list[str]:
        found = [key.key async for key in diorama.storage.list_prefix("")]
        return [key for key in found if done["id"] in key or stuck["id"] in key]

    left = await diorama.until(objects, lambda keys: keys == [], within_s=150)
    gone = await diorama.http.get(f"/v1/assets/{asset_id}")

    assert (answer.status_code, left) == (202, [])
    assert gone.status_code in {404, 410}
    diorama.started = [stuck["id"]]  # the deleted one succeeded, and its picture is gone on purpose

    async def status() -> Status | None:
        async with diorama.database.transaction() as session:
            row = await session.get(Generation, UUID(stuck["id"]))
        return row.status if row else None

    await diorama.until(status, lambda known: known is not None and known.is_final)
