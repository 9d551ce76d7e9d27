"""API keys over HTTP: shown once, never more than the key that makes them, and nobody else's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from db import keys
from db.columns import now
from tests.integration.api.running_api import AVATAR, PEPPER, RunningApi, Tenant, eventually, new_tenant
from tests.integration.patience import HTTP_S


@asynccontextmanager
async def with_key(api: RunningApi, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=api.url, headers={"Authorization": f"Bearer {key}"}, timeout=HTTP_S
    ) as client:
        yield client


async def make(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await client.post("/v1/keys", json={"name": "the web shop"} | wanted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def key_id(tenant: Tenant) -> str:
    return keys.id_of(tenant.key)


async def test_a_new_key_is_shown_once_and_works_with_the_scopes_that_it_was_given(tenant: Tenant) -> None:
    made = await make(tenant.client, scopes=["read"])
    shown = (await tenant.client.get(f"/v1/keys/{made['id']}")).text + (await tenant.client.get("/v1/keys")).text

    async with with_key(tenant.api, made["api_key"]) as client:
        looked, ordered = await client.get("/v1/generations"), await client.post("/v1/generations", json=AVATAR)

    assert made["api_key"].partition("_")[2].partition("_")[0] == made["id"]
    assert made["api_key"].rpartition("_")[2] not in shown
    assert "digest" not in shown
    assert looked.status_code == 200
    problem = ordered.json()
    assert (ordered.status_code, problem["code"], problem["scope"]) == (403, "scope_missing", "generate")


async def test_a_key_without_admin_cannot_look_at_keys(tenant: Tenant) -> None:
    made = await make(tenant.client)

    async with with_key(tenant.api, made["api_key"]) as client:
        answers = [await client.get("/v1/keys"), await client.post("/v1/keys", json={"name": "more"})]

    assert made["scopes"] == ["generate", "read"]
    assert [(answer.status_code, answer.json()["scope"]) for answer in answers] == [(403, "admin")] * 2


async def test_an_admin_key_cannot_give_scopes_time_or_speed_that_it_has_not(tenant: Tenant) -> None:
    ends = now() + timedelta(days=1)
    wanted = {"scopes": ["read", "admin"], "expires_at": ends.isoformat(), "requests_per_minute": 600}
    lesser = await make(tenant.client, **wanted)

    async with with_key(tenant.api, lesser["api_key"]) as client:
        more: list[dict[str, Any]] = [
            {"scopes": ["read", "generate"]},
            {"scopes": ["read"], "expires_at": (ends + timedelta(seconds=1)).isoformat()},
            {"scopes": ["read"], "requests_per_minute": 601},
        ]
        refused = [await client.post("/v1/keys", json={"name": "more"} | one) for one in more]
        child = await make(client, scopes=["read"])

    assert [(one.status_code, one.json().get("scope", one.json().get("field"))) for one in refused] == [
        (403, "generate"),
        (422, "expires_at"),
        (422, "requests_per_minute"),
    ]
    assert (child["expires_at"], child["requests_per_minute"]) == (lesser["expires_at"], 600)


async def test_an_admin_key_cannot_get_a_mightier_one_by_rotating_it(tenant: Tenant) -> None:
    mightier = await make(tenant.client, scopes=["read", "generate"])
    lesser = await make(tenant.client, scopes=["read", "admin"])

    async with with_key(tenant.api, lesser["api_key"]) as client:
        answer = await client.post(f"/v1/keys/{mightier['id']}/rotate", json={})

    assert (answer.status_code, answer.json()["scope"]) == (403, "generate")


async def test_no_operators_key_is_made_rotated_or_revoked_by_an_admin(tenant: Tenant) -> None:
    operators = keys.new_key()
    async with tenant.api.database.transaction() as session:
        await keys.ensure_key(session, operators, pepper=PEPPER, tenant_name=tenant.key, operator=True)
    path = f"/v1/keys/{keys.id_of(operators)}"

    asked = await tenant.client.post("/v1/keys", json={"name": "mine", "operator": True})
    rotated = await tenant.client.post(f"{path}/rotate", json={})
    revoked = await tenant.client.delete(path)
    async with with_key(tenant.api, operators) as client:
        rotated_by_operator = await client.post(f"{path}/rotate", json={})

    assert (asked.status_code, rotated.status_code, revoked.status_code) == (422, 403, 403)
    assert {answer.json()["code"] for answer in (rotated, revoked, rotated_by_operator)} == {"not_an_operator"}


async def test_a_rotated_key_is_followed_by_one_with_the_same_rights(tenant: Tenant) -> None:
    old = await make(tenant.client, scopes=["read"], requests_per_minute=100)

    answer = await tenant.client.post(f"/v1/keys/{old['id']}/rotate", json={"grace_s": 3600})
    left = (await tenant.client.get(f"/v1/keys/{old['id']}")).json()
    new = answer.json()
    async with with_key(tenant.api, old["api_key"]) as before, with_key(tenant.api, new["api_key"]) as after:
        statuses = [(await client.get("/v1/generations")).status_code for client in (before, after)]
    await _seen_in_use(tenant, new["id"])
    again = await tenant.client.post(f"/v1/keys/{old['id']}/rotate", json={"grace_s": 3600})

    assert answer.status_code == 201
    same = ("name", "scopes", "requests_per_minute", "expires_at", "operator")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert (left["replaced_by"], left["state"], left["expires_at"] is None) == (new["id"], "valid", False)
    assert (again.status_code, again.json()["code"], again.json()["replaced_by"]) == (409, "key_ended", new["id"])
    assert statuses == [200, 200]


async def _seen_in_use(tenant: Tenant, key: str) -> None:
    async def used() -> Any:
        return (await tenant.client.get(f"/v1/keys/{key}")).json()["last_used_at"]

    await eventually(used)


async def test_a_key_whose_successor_was_lost_on_its_way_is_rotated_once_more(tenant: Tenant) -> None:
    path = f"/v1/keys/{key_id(tenant)}/rotate"

    lost = (await tenant.client.post(path, json={"grace_s": 3600})).json()
    answer = await tenant.client.post(path, json={"grace_s": 3600})
    new = answer.json()
    async with with_key(tenant.api, lost["api_key"]) as one, with_key(tenant.api, new["api_key"]) as other:
        statuses = [(await client.get("/v1/keys")).status_code for client in (one, other)]
    await _seen_in_use(tenant, new["id"])
    again = await tenant.client.post(path, json={"grace_s": 3600})

    assert (answer.status_code, new["expires_at"], statuses) == (201, None, [401, 200])
    assert (again.status_code, again.json()["replaced_by"]) == (409, new["id"])


async def test_a_key_with_an_end_is_not_outlived_by_rotating_it_twice(tenant: Tenant) -> None:
    ends = now() + timedelta(days=1)
    lesser = await make(tenant.client, scopes=["read", "admin"], expires_at=ends.isoformat())
    path = f"/v1/keys/{lesser['id']}/rotate"

    async with with_key(tenant.api, lesser["api_key"]) as client:
        first = (await client.post(path, json={"grace_s": 60})).json()
        later = await client.post(path, json={"expires_at": (ends + timedelta(seconds=1)).isoformat()})
        second = (await client.post(path, json={})).json()

    assert first["expires_at"] == second["expires_at"] == lesser["expires_at"]
    assert (later.status_code, later.json()["field"]) == (422, "expires_at")


async def test_a_key_that_is_revoked_before_its_first_use_is_never_accepted_and_revoking_twice_is_harmless(
    tenant: Tenant,
) -> None:
    made = await make(tenant.client)

    revoked = [(await tenant.client.delete(f"/v1/keys/{made['id']}")).status_code for _ in range(2)]
    async with with_key(tenant.api, made["api_key"]) as client:
        answer = await client.get("/v1/generations")
    listed = [(await tenant.client.get("/v1/keys", params={"ended": ended})).json() for ended in (False, True)]

    assert (revoked, answer.status_code) == ([204, 204], 401)
    assert [made["id"] in {key["id"] for key in page["items"]} for page in listed] == [False, True]


async def test_another_tenants_keys_are_as_those_that_do_not_exist(tenant: Tenant, stranger: Tenant) -> None:
    def asked(key: str) -> list[tuple[str, str, Any]]:
        return [
            ("GET", f"/v1/keys/{key}", None),
            ("DELETE", f"/v1/keys/{key}", None),
            ("POST", f"/v1/keys/{key}/rotate", {}),
        ]

    theirs, nobodys = key_id(stranger), "0" * 12
    answers = {
        key: [await tenant.client.request(method, path, json=body) for method, path, body in asked(key)]
        for key in (theirs, nobodys)
    }

    told = {
        key: [(one.status_code, {**one.json(), "instance": "", "request_id": ""}, sorted(one.headers)) for one in found]
        for key, found in answers.items()
    }
    assert told[theirs] == told[nobodys]
    assert {status for status, *_ in told[theirs]} == {404}
    assert (await stranger.client.get("/v1/keys")).status_code == 200


async def test_an_operator_reads_and_revokes_the_keys_of_any_tenant(api: RunningApi, tenant: Tenant) -> None:
    made = await make(tenant.client)
    async with new_tenant(api, operator=True) as operator:
        read = await operator.client.get(f"/v1/keys/{made['id']}")
        revoked = await operator.client.delete(f"/v1/keys/{made['id']}")

    assert (read.json()["tenant_id"], revoked.status_code) == (str(tenant.id), 204)


@pytest.mark.parametrize(
    "wanted",
    [
        {"name": ""},
        {"name": "a\x00b"},
        {"scopes": []},
        {"scopes": ["operator"]},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"requests_per_minute": 0},
        {"digest": "00"},
    ],
    ids=str,
)
async def test_what_cannot_be_a_key_is_refused(tenant: Tenant, wanted: dict[str, Any]) -> None:
    answer = await tenant.client.post("/v1/keys", json={"name": "a key"} | wanted)

    assert answer.status_code == 422
    assert len((await tenant.client.get("/v1/keys")).json()["items"]) == 1


async def test_every_change_of_a_key_is_in_the_audit_log_without_its_secret(tenant: Tenant) -> None:
    made = await make(tenant.client, scopes=["read"])
    new = (await tenant.client.post(f"/v1/keys/{made['id']}/rotate", json={})).json()
    await tenant.client.delete(f"/v1/keys/{new['id']}", headers={"X-Request-Id": "a-request-of-mine"})

    answer = await tenant.client.get("/v1/audit", params={"subject": "key"})

    entries = answer.json()["items"]
    assert [(entry["action"], entry["subject_id"]) for entry in entries] == [
        ("key.revoked", new["id"]),
        ("key.rotated", made["id"]),
        ("key.created", made["id"]),
    ]
    assert {entry["actor"] for entry in entries} == {f"key:{key_id(tenant)}"}
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}
    assert entries[0]["request_id"] == "a-request-of-mine"
    assert (entries[1]["facts"]["replaced_by"], entries[2]["facts"]["scopes"]) == (new["id"], ["read"])
    assert not [key for key in (made, new) if key["api_key"].rpartition("_")[2] in answer.text]


async def test_who_follows_a_generation_is_told_nothing_more_when_the_key_was_revoked(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.authentication.REMEMBER_S", 0.0)  # as if the two seconds had passed at each event
    accepted, made = await tenant.accept(AVATAR), await make(tenant.client, scopes=["read"])
    path = f"/v1/generations/{accepted['id']}"
    headers = {"Authorization": f"Bearer {made['api_key']}"}

    async with (
        connect(
            f"{tenant.api.url.replace('http', 'ws', 1)}{path}/ws", additional_headers=headers, open_timeout=HTTP_S
        ) as websocket,
        tenant.client.stream("GET", f"{path}/events", headers=headers) as stream,
    ):
        lines = stream.aiter_lines()
        shown = [await websocket.recv(), await anext(lines)]
        await tenant.tell(accepted["id"], "picture.seen")
        seen = [str(await websocket.recv()), await _until(lines, "picture.seen")]
        await tenant.client.delete(f"/v1/keys/{made['id']}")
        await tenant.tell(accepted["id"], "picture.secret")
        left = [line async for line in lines]
        with pytest.raises(ConnectionClosed):
            await websocket.recv()

    assert len(shown) == 2
    assert all("picture.seen" in one for one in seen)
    assert [line for line in left if "secret" in line] == []
    assert websocket.close_code == 4401


async def _until(lines: AsyncIterator[str], word: str) -> str:
    """The first line with this word."""
    async for line in lines:
        if word in line:
            return line
    raise AssertionError(f"the stream ended without {word}")
