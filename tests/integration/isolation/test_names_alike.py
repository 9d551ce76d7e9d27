"""What two tenants call alike stays two things: sessions, users, tags, idempotency keys, and the same bytes."""

from typing import Any

import httpx
import pytest

from tests.integration.isolation.belongings import EVERYBODYS, PICTURE, Belongings, request
from tests.integration.isolation.snapshots import snapshot
from tests.integration.patience import HTTP_S

SHARED: dict[str, Any] = {"session_id": EVERYBODYS, "user_id": EVERYBODYS, "tags": [EVERYBODYS]}


@pytest.mark.parametrize("query", ["session", "tag"])
async def test_a_list_by_a_name_that_both_use_shows_ones_own(
    attacker: Belongings, victim: Belongings, query: str
) -> None:
    found = {}
    for who in (attacker, victim):
        answer = await who.tenant.client.get(f"/v1/generations?{query}={EVERYBODYS}")
        found[who.tenant.id] = {one["id"] for one in answer.json()["items"]}

    assert found[victim.tenant.id] == {victim.things["generation"][3]}
    assert found[attacker.tenant.id].isdisjoint(victim.things["generation"])
    assert found[attacker.tenant.id]


async def test_an_idempotency_key_that_both_use_repeats_ones_own_answer(owner: Belongings, victim: Belongings) -> None:
    before = await snapshot(victim.tenant)
    same = {"Idempotency-Key": EVERYBODYS}
    body = request(owner.tenant, **SHARED)

    again = await owner.tenant.client.post("/v1/generations", json=body, headers=same)
    other = await owner.tenant.client.post("/v1/generations", json=body | {"quality": "high"}, headers=same)

    assert (again.status_code, again.json()["id"]) == (202, owner.things["generation"][3])
    assert again.headers["idempotent-replayed"] == "true"
    assert other.status_code == 422
    assert before.changes(await snapshot(victim.tenant)) == {}


async def test_anothers_whole_request_sent_once_more_is_a_request_of_ones_own(
    owner: Belongings, victim: Belongings
) -> None:
    before = await snapshot(victim.tenant)
    theirs = request(victim.tenant, tags=list(victim.things["tag"]))
    keys = {"Idempotency-Key": victim.things["idempotency key"][0]}

    answers = [await owner.tenant.client.post("/v1/generations", json=theirs, headers=keys) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["id"] not in victim.things["generation"]
    assert before.changes(await snapshot(victim.tenant)) == {}


async def test_a_repetition_of_anothers_openai_call_finds_nothing_of_it(owner: Belongings, victim: Belongings) -> None:
    """Repetitions without a key are told by what they ask for: only ones own count."""
    before = await snapshot(victim.tenant)
    given = {"prompt": "a lighthouse", "diorama": {"deadline_s": 5}}
    again = {"x-stainless-retry-count": "1"}

    answers = [
        await owner.tenant.client.post("/v1/images/generations", json=given, headers=headers) for headers in ({}, again)
    ]

    made = [answer.headers["x-diorama-generation"] for answer in answers]
    assert not set(made) & set(victim.things["generation"])
    assert before.changes(await snapshot(victim.tenant)) == {}


@pytest.mark.parametrize("subject", [{"session_id": EVERYBODYS}, {"user_id": EVERYBODYS}])
async def test_forgetting_a_name_that_both_use_forgets_ones_own(
    owner: Belongings, victim: Belongings, subject: dict[str, str]
) -> None:
    before = await snapshot(victim.tenant)

    answer = await owner.tenant.client.post("/v1/erasures", json=subject)
    gone = await owner.tenant.client.get(f"/v1/generations/{owner.things['generation'][3]}")

    assert (answer.status_code, gone.status_code) == (202, 404), answer.text
    assert before.changes(await snapshot(victim.tenant)) == {}


async def test_deleting_a_session_that_both_use_deletes_ones_own(owner: Belongings, victim: Belongings) -> None:
    before = await snapshot(victim.tenant)

    answer = await owner.tenant.client.delete(f"/v1/sessions/{EVERYBODYS}")

    assert (answer.status_code, answer.json()["generations"]) == (202, 1)
    assert before.changes(await snapshot(victim.tenant)) == {}


async def test_the_same_bytes_are_a_picture_of_ones_own(attacker: Belongings, victim: Belongings) -> None:
    before = await snapshot(victim.tenant)

    answer = await attacker.tenant.client.post("/v1/assets", content=PICTURE, headers={"Content-Type": "image/png"})

    assert answer.json()["id"] == attacker.things["asset"][1]
    assert before.changes(await snapshot(victim.tenant)) == {}


async def test_a_key_that_is_nearly_anothers_is_nobodys(attacker: Belongings, victim: Belongings) -> None:
    _, key_id, secret = victim.tenant.key.split("_", 2)
    mine = attacker.tenant.key.split("_", 2)[2]
    other = "0" if secret[-1] != "0" else "1"
    tried = [
        f"dio_{key_id}_{mine}",  # their id, my secret
        f"dio_{key_id}_{secret[:-1]}{other}",
        f"dio_{key_id}_",
        f"dio_{'0' * 12}_{secret}",  # nobody's id, their secret
        f"dio_{key_id.upper()}_{secret}" if key_id.upper() != key_id else f"dio_{'f' * 12}_{secret}",
    ]
    async with httpx.AsyncClient(base_url=victim.tenant.api.url, timeout=HTTP_S) as client:
        answers = [await client.get("/v1/generations", headers={"Authorization": f"Bearer {key}"}) for key in tried]
        right = await client.get("/v1/generations", headers={"Authorization": f"Bearer {victim.tenant.key}"})

    said = {(answer.status_code, answer.json()["code"], answer.json()["detail"]) for answer in answers}
    assert len(said) == 1
    assert answers[0].status_code == 401
    assert right.status_code == 200
