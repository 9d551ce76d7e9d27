"""Bad input of every kind: a problem document that says what is wrong, and nothing left behind."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.integration.api.picture_host import PRIVATE, PictureHost
from tests.integration.api.running_api import AVATAR, CHAIN, RunningApi, Tenant
from tests.integration.patience import HTTP_S

SCENE: dict[str, Any] = {"kind": "scene", "scene": {"theme": "coral-reef"}}
NOBODYS_ID = "0199c0de-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Bad:
    """A request and the problem that it gives; `content` replaces the JSON, `picture` is a path of the picture host."""

    code: str
    status: int
    body: Any = None
    content: bytes | None = None
    picture: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def _with(base: dict[str, Any], **more: Any) -> dict[str, Any]:
    return base | more


def _avatar(**more: Any) -> dict[str, Any]:
    return _with(AVATAR, avatar=AVATAR["avatar"] | more)


def _json(text: str) -> bytes:
    return text.encode()


CASES = {
    "unknown kind": Bad("invalid_request", 422, _with(AVATAR, kind="portrait")),
    "no kind": Bad("invalid_request", 422, {"avatar": AVATAR["avatar"]}),
    "a list instead of an object": Bad("invalid_request", 422, [AVATAR]),
    "null": Bad("invalid_request", 422, content=b"null"),
    "unknown field": Bad("invalid_request", 422, _with(AVATAR, colour="red")),
    "unknown field inside": Bad("invalid_request", 422, _avatar(age=12)),
    "unknown theme": Bad("unknown_theme", 422, _with(CHAIN, scene={"theme": "atlantis"})),
    "theme of no form": Bad("invalid_request", 422, _with(CHAIN, scene={"theme": "../../etc/passwd"})),
    "unknown size": Bad("invalid_request", 422, _avatar(size="17x4")),
    "unknown quality": Bad("invalid_request", 422, _with(AVATAR, quality="best")),
    "unknown provider": Bad("unknown_model", 422, _with(AVATAR, provider="acme")),
    "provider without a key": Bad("unknown_model", 422, _with(AVATAR, provider="openai")),
    "unknown model": Bad("unknown_model", 422, _with(AVATAR, model="acme/paint-9")),
    "model with a null character": Bad("unknown_model", 422, _with(AVATAR, model="open\u0000ai")),
    "retired model": Bad("model_retired", 422, _with(AVATAR, model="openai/gpt-image-1")),
    "empty description": Bad("invalid_request", 422, _avatar(description="   ")),
    "too long a description": Bad("invalid_request", 422, _avatar(description="x" * 2001)),
    "description of the wrong type": Bad("invalid_request", 422, _avatar(description=["a", "man"])),
    "null character": Bad("invalid_request", 422, _avatar(description="a man\u0000")),
    "null character in a wish": Bad(
        "invalid_request", 422, {"kind": "image", "prompt": "a fox", "traits": {"negative_prompt": "fog\u0000"}}
    ),
    "control character": Bad("invalid_request", 422, _avatar(description="a \u001b[31mred man")),
    "lone surrogate": Bad("bad_request", 400, content=_json('{"kind":"avatar","avatar":{"description":"\\ud800"}}')),
    "lone surrogate in a name": Bad("bad_request", 400, content=_json('{"kind":"avatar","\\udc00":1}')),
    "not a number": Bad("bad_request", 400, content=_json('{"kind":"avatar","deadline_s":NaN}')),
    "an endless number": Bad("bad_request", 400, content=_json('{"deadline_s":' + "9" * 20_000 + "}")),
    "a number beyond all floats": Bad("invalid_request", 422, content=_json('{"kind":"avatar","deadline_s":1e999}')),
    "endless nesting": Bad("bad_request", 400, content=b"[" * 60_000),
    "half a JSON": Bad("bad_request", 400, content=b'{"kind": "avatar"'),
    "not UTF-8": Bad("bad_request", 400, content=b'{"kind": "\xff\xfe"}'),
    "no body": Bad("invalid_request", 422, content=b""),
    "body too large": Bad("content_too_large", 413, content=b'{"kind":"' + b"x" * 70_000 + b'"}'),
    "a form": Bad("unsupported_media_type", 415, content=b"kind=avatar", headers={"Content-Type": "text/plain"}),
    "deadline too short": Bad("invalid_request", 422, _with(AVATAR, deadline_s=1)),
    "too many tags": Bad("invalid_request", 422, _with(AVATAR, tags=[f"t{n}" for n in range(11)])),
    "a tag with spaces": Bad("invalid_request", 422, _with(AVATAR, tags=["two words"])),
    "session id with a slash": Bad("invalid_request", 422, _with(AVATAR, session_id="a/b")),
    "empty idempotency key": Bad("invalid_request", 422, AVATAR, headers={"Idempotency-Key": ""}),
    "long idempotency key": Bad("invalid_request", 422, AVATAR, headers={"Idempotency-Key": "k" * 256}),
    "no key": Bad("unauthenticated", 401, AVATAR, headers={"Authorization": ""}),
    "wrong key": Bad("unauthenticated", 401, AVATAR, headers={"Authorization": "Bearer dio_0123456789ab_wrong"}),
    "key of no form": Bad("unauthenticated", 401, AVATAR, headers={"Authorization": "Bearer sesame"}),
    "basic authentication": Bad("unauthenticated", 401, AVATAR, headers={"Authorization": "Basic dTpw"}),
    "neither avatar nor picture": Bad("invalid_request", 422, SCENE),
    "avatar and picture": Bad(
        "invalid_request", 422, _with(SCENE, avatar_asset_id=NOBODYS_ID, image_url="https://example.com/a.png")
    ),
    "nobody's avatar": Bad("not_found", 404, _with(SCENE, avatar_asset_id=NOBODYS_ID)),
    "an avatar id of no form": Bad("invalid_request", 422, _with(SCENE, avatar_asset_id="me")),
    "no URL": Bad("image_url_forbidden", 422, _with(SCENE, image_url="me.png")),
    "a URL without a host": Bad("image_url_forbidden", 422, _with(SCENE, image_url="https:///me.png")),
    "a URL with a null character": Bad("image_url_forbidden", 422, _with(SCENE, image_url="https://a\u0000b/me.png")),
    "a URL with a password": Bad("image_url_forbidden", 422, _with(SCENE, image_url="https://a:b@example.com/a.png")),
    "a file URL": Bad("image_url_forbidden", 422, _with(SCENE, image_url="file:///etc/passwd")),
    "a data URL": Bad("image_url_forbidden", 422, _with(SCENE, image_url="data:image/png;base64,iVBORw0KGgo=")),
    "plain http": Bad("image_url_forbidden", 422, _with(SCENE, image_url="http://example.com/me.png")),
    "this machine": Bad("image_url_forbidden", 422, _with(SCENE, image_url="https://127.0.0.1/me.png")),
    "this machine by name": Bad("image_url_forbidden", 422, _with(SCENE, image_url="https://localhost/me.png")),
    "this machine as a number": Bad("image_url_forbidden", 422, _with(SCENE, image_url="https://2130706433/me.png")),
    "a private network": Bad("image_url_forbidden", 422, _with(SCENE, image_url="https://10.0.0.1/me.png")),
    "a cloud's metadata": Bad("image_url_forbidden", 422, _with(SCENE, image_url=PRIVATE.replace("http:", "https:"))),
    "a strange port": Bad("image_url_forbidden", 422, _with(SCENE, image_url="https://example.com:22/me.png")),
    "a redirect to a private place": Bad("image_url_forbidden", 422, SCENE, picture="to-private"),
    "a redirect to a file": Bad("image_url_forbidden", 422, SCENE, picture="to-file"),
    "redirects for ever": Bad("image_unreachable", 422, SCENE, picture="for-ever"),
    "no picture there": Bad("image_unreachable", 422, SCENE, picture="missing.png"),
    "a zipped answer": Bad("image_unreachable", 422, SCENE, picture="zipped.png"),
    "a page": Bad("image_not_decodable", 422, SCENE, picture="page.html"),
    "a cut picture": Bad("image_not_decodable", 422, SCENE, picture="cut.png"),
    "a bomb": Bad("image_too_large", 422, SCENE, picture="bomb.png"),
    "too many bytes": Bad("image_too_large", 422, SCENE, picture="huge.png"),
}


def check_problem(answer: httpx.Response, code: str, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    problem: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.request.url.path
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize("bad", CASES.values(), ids=CASES.keys())
async def test_bad_input_is_refused_in_words_and_leaves_nothing(
    tenant: Tenant, pictures: PictureHost, bad: Bad
) -> None:
    body = bad.body if bad.picture is None else bad.body | {"image_url": pictures.url(bad.picture)}
    content = bad.content if bad.content is not None else json.dumps(body).encode()

    answer = await tenant.client.post(
        "/v1/generations", content=content, headers={"Content-Type": "application/json"} | bad.headers
    )

    check_problem(answer, bad.code, bad.status)
    assert tenant.key not in answer.text
    assert await tenant.counts() == {"generation": 0, "asset": 0, "spend": 0}
    assert await tenant.objects() == []


async def test_a_key_reused_for_another_body_is_refused(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "order-7"}
    await tenant.client.post("/v1/generations", json=AVATAR, headers=headers)

    answer = await tenant.client.post("/v1/generations", json=CHAIN, headers=headers)

    check_problem(answer, "idempotency_key_reused", 422)
    assert (await tenant.counts())["generation"] == 1


async def test_validation_problems_point_at_the_fields_and_never_repeat_the_values(tenant: Tenant) -> None:
    secret = "my-password-is-hunter2"
    body = CHAIN | {"quality": secret, "avatar": {"description": ""}, "api_key": secret}

    answer = await tenant.client.post("/v1/generations", json=body)

    problem = check_problem(answer, "invalid_request", 422)
    pointers = {one["pointer"] for one in problem["errors"]}
    assert {"/quality", "/avatar/description", "/api_key"} == pointers
    assert secret not in answer.text


async def test_somebody_elses_avatar_cannot_be_used(tenant: Tenant, stranger: Tenant, pictures: PictureHost) -> None:
    await stranger.accept(SCENE | {"image_url": pictures.url("me.png")})
    (row,) = await tenant.api.ask("select id from asset where tenant_id = :id", id=stranger.id)

    answer = await tenant.client.post("/v1/generations", json=SCENE | {"avatar_asset_id": str(row.id)})

    check_problem(answer, "not_found", 404)
    assert (await tenant.counts())["generation"] == 0


PATHS = {
    "unknown path": ("GET", "/v1/nothing", "not_found", 404),
    "a path with a slash too many": ("GET", "/v1/generations/", "not_found", 404),
    "wrong method": ("DELETE", "/v1/generations", "method_not_allowed", 405),
    "nobody's generation": ("GET", f"/v1/generations/{NOBODYS_ID}", "not_found", 404),
    "an id of no form": ("GET", "/v1/generations/seven", "invalid_request", 422),
    "nobody's events": ("GET", f"/v1/generations/{NOBODYS_ID}/events", "not_found", 404),
    "nobody's generation to cancel": ("POST", f"/v1/generations/{NOBODYS_ID}/cancel", "not_found", 404),
    "nobody's picture": ("GET", f"/v1/assets/{NOBODYS_ID}", "not_found", 404),
    "nobody's bytes": ("GET", f"/v1/assets/{NOBODYS_ID}/content", "not_found", 404),
    "nobody's download": ("GET", f"/v1/assets/{NOBODYS_ID}/download", "not_found", 404),
    "nobody's session": ("GET", "/v1/sessions/nobodys", "not_found", 404),
    "nobody's session to delete": ("DELETE", "/v1/sessions/nobodys", "not_found", 404),
    "a session id of no form": ("GET", "/v1/sessions/a%00b", "invalid_request", 422),
    "a cursor of no form": ("GET", "/v1/generations?cursor=seven", "invalid_cursor", 422),
    "a cursor beyond ASCII": ("GET", "/v1/sessions?cursor=%C3%BC", "invalid_cursor", 422),
    "an unknown status": ("GET", "/v1/generations?status=done", "invalid_request", 422),
    "an unknown filter": ("GET", "/v1/generations?stauts=queued", "invalid_request", 422),
    "a tag with a null character": ("GET", "/v1/generations?tag=%00", "invalid_request", 422),
    "a session with a null character": ("GET", "/v1/generations?session=%00", "invalid_request", 422),
    "a time without a zone": ("GET", "/v1/generations?created_after=2026-01-01T00:00:00", "invalid_request", 422),
    "a time before all times": (
        "GET",
        "/v1/generations?created_after=0001-01-01T00:00:00%2B14:00",
        "invalid_request",
        422,
    ),
    "too large a page": ("GET", "/v1/generations?limit=101", "invalid_request", 422),
    "a webhook of nobody": ("POST", "/v1/webhooks/acme/token", "not_found", 404),
}


@pytest.mark.parametrize("case", PATHS.values(), ids=PATHS.keys())
async def test_bad_paths_and_queries_are_refused_in_words(tenant: Tenant, case: tuple[str, str, str, int]) -> None:
    method, path, code, status = case

    answer = await tenant.client.request(method, path)

    check_problem(answer, code, status)


@pytest.mark.parametrize("path", ["", "/cancel", "/events"])
async def test_somebody_elses_generation_does_not_exist(tenant: Tenant, stranger: Tenant, path: str) -> None:
    theirs = await stranger.accept(AVATAR)
    method = "POST" if path == "/cancel" else "GET"

    answer = await tenant.client.request(method, f"/v1/generations/{theirs['id']}{path}")

    check_problem(answer, "not_found", 404)
    assert (await stranger.generations())[0]["cancel_requested"] is False


async def test_every_route_but_the_open_ones_asks_for_a_key(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.url, timeout=HTTP_S) as client:
        document = (await client.get("/openapi.json")).json()
        answers = {
            (method, path): await client.request(
                method, path.replace("{generation_id}", NOBODYS_ID), json={} if "requestBody" in operation else None
            )
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    open_routes = {path for (_, path), answer in answers.items() if answer.status_code != 401}
    assert open_routes == {"/healthz", "/readyz", "/v1/webhooks/{provider}/{token}"}
