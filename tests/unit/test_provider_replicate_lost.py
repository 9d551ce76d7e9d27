"""A lost purchase from a model that has no field for our token: found by its seed, its picture, or its whole input."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from contracts.wishes import PictureTraits
from errors import ModelGone, ProviderBusy, ProviderCredentials, ProviderUnavailable, ProviderUnreachable
from providers.base import LostJob, Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from providers.replicate_marks import Mark, note, seed_of
from providers.replicate_rows import Row, read_marks
from tests.provider_server import Answer, Request, Script, Server, json_reply, provider_server

CATALOG = Catalog.load()
SDXL = "stability-ai/sdxl"
NOW = datetime.now(UTC)


@asynccontextmanager
async def replicate(script: Script) -> AsyncIterator[tuple[ReplicateProvider, Server]]:
    async with provider_server(script) as server:
        quota = ReadQuota(60_000, burst=1000)
        provider = ReplicateProvider(base_url=server.url, token=SecretStr("secret"), catalog=CATALOG, reads=quota)
        try:
            yield provider, server
        finally:
            await provider.close()


def order(model: str = SDXL, **changes: Any) -> Purchase:
    fields: dict[str, Any] = {
        "token": "token-1",
        "prompt": "a fox",
        "quality": "medium",
        "size": (1024, 1024),
        "shape": "square",
        "references": (),
        "deadline_s": 60,
    }
    return Purchase(model=model, **{**fields, **changes})


def account(predictions: list[dict[str, Any]], files: list[dict[str, Any]] | None = None) -> Script:
    """An account with these predictions and files, each list on one page."""

    def answer(request: Request) -> Answer:
        rows = files or [] if request.path.startswith("/v1/files") else predictions
        return json_reply({"results": rows, "next": None})

    return answer


def bought(number: int, made_from: dict[str, Any], model: str = SDXL) -> dict[str, Any]:
    return {"id": f"job{number}", "status": "processing", "model": model, "input": made_from}


def noted(token: str, made_from: dict[str, Any]) -> Mark:
    traits = PictureTraits(seed=made_from.get("seed"))
    return note(order(token=token, traits=traits), CATALOG.entry("replicate", SDXL), made_from)


def marked(number: int, mark: Mark, made_at: datetime = NOW) -> dict[str, Any]:
    address = f"https://api.replicate.com/v1/files/f{number}"
    metadata = mark.model_dump(mode="json", exclude_defaults=True)
    return {"id": f"f{number}", "metadata": metadata, "urls": {"get": address}, "created_at": made_at.isoformat()}


async def looked_up(script: Script, token: str) -> LostJob:
    async with replicate(script) as (provider, _):
        return await provider.find_lost(token, NOW)


def job_of(lost: LostJob) -> str | None:
    return lost.report.job_id if lost.report else None


async def test_a_purchase_without_a_field_for_our_token_is_found_by_its_seed() -> None:
    rows = [bought(1, {"prompt": "a fox", "seed": 7}), bought(2, {"prompt": "a fox", "seed": seed_of("token-2")})]

    lost = await looked_up(account(rows), "token-2")

    assert (job_of(lost), lost.conclusive) == ("job2", True)


async def test_the_same_number_in_a_model_of_which_we_know_nothing_is_no_sign() -> None:
    rows = [bought(1, {"seed": seed_of("token-1")}, "somebody/else")]

    lost = await looked_up(account(rows), "token-1")

    assert (job_of(lost), lost.conclusive) == (None, True)


async def test_a_purchase_is_found_by_the_picture_that_was_uploaded_for_it() -> None:
    files = [marked(n, Mark(diorama_token=f"token-{n}", model="tencentarc/gfpgan")) for n in (1, 2)]
    rows = [bought(n, {"img": f"https://api.replicate.com/v1/files/f{n}"}, "tencentarc/gfpgan") for n in (1, 2)]

    lost = await looked_up(account(rows, files), "token-1")

    assert (job_of(lost), lost.conclusive) == ("job1", True)


async def test_a_purchase_with_the_callers_own_seed_is_found_by_its_whole_input() -> None:
    made_from = {"prompt": "a fox", "seed": 7, "guidance_scale": 7.0}
    files = [marked(1, noted("token-1", made_from))]
    rows = [bought(1, {"prompt": "an owl", "seed": 7}), bought(2, {**made_from, "guidance_scale": 7, "refine": ""})]

    lost = await looked_up(account(rows, files), "token-1")

    assert (job_of(lost), lost.conclusive) == ("job2", True)


async def test_two_purchases_of_the_same_input_cannot_be_told_apart() -> None:
    made_from = {"prompt": "a fox", "seed": 7}
    files = [marked(n, noted(f"token-{n}", made_from)) for n in (1, 2)]

    one_job = await looked_up(account([bought(1, made_from)], files), "token-1")
    two_jobs = await looked_up(account([bought(1, made_from), bought(2, made_from)], files[:1]), "token-1")

    assert (job_of(one_job), one_job.conclusive) == (None, False)
    assert (job_of(two_jobs), two_jobs.conclusive) == (None, False)


async def test_an_earlier_purchase_of_the_same_input_is_no_doubt() -> None:
    made_from = {"prompt": "a fox", "seed": 7}
    earlier = marked(1, noted("token-1", made_from), NOW - timedelta(hours=2))
    files = [earlier, marked(2, noted("token-2", made_from))]

    lost = await looked_up(account([bought(2, made_from)], files), "token-2")

    assert (job_of(lost), lost.conclusive) == ("job2", True)


async def test_a_prediction_that_shows_its_picture_in_another_form_than_it_was_sent_in_may_be_the_lost_one() -> None:
    files = [marked(n, Mark(diorama_token=f"token-{n}", model="tencentarc/gfpgan")) for n in (1, 2)]
    known = bought(2, {"img": "https://api.replicate.com/v1/files/f2"}, "tencentarc/gfpgan")
    strange = bought(1, {"img": "https://replicate.delivery/rewritten"}, "tencentarc/gfpgan")

    assert (await looked_up(account([known], files), "token-1")).conclusive
    assert not (await looked_up(account([known, strange], files), "token-1")).conclusive


async def test_a_prediction_with_the_callers_seed_and_another_input_than_was_sent_may_be_the_lost_one() -> None:
    files = [marked(1, noted("token-1", {"prompt": "a fox", "seed": 7}))]

    lost = await looked_up(account([bought(1, {"prompt": "A fox", "seed": 7})], files), "token-1")

    assert (job_of(lost), lost.conclusive) == (None, False)


@pytest.mark.parametrize("files", [[], [marked(1, noted("token-1", {"prompt": "a fox", "seed": 7}))]])
async def test_a_purchase_of_which_no_prediction_has_a_sign_was_not_made(files: list[dict[str, Any]]) -> None:
    lost = await looked_up(account([bought(1, {"prompt": "an owl", "seed": 9})], files), "token-1")

    assert (job_of(lost), lost.conclusive) == (None, True)


async def test_the_files_are_looked_at_only_where_a_prediction_shows_no_token() -> None:
    rows = [bought(1, {"user_id": "token-1"}, "openai/gpt-image-2"), bought(2, {"seed": 3}, "somebody/else")]
    async with replicate(account(rows)) as (provider, server):
        lost = await provider.find_lost("token-9", NOW)

    assert (job_of(lost), lost.conclusive) == (None, True)
    assert [request.path.partition("?")[0] for request in server.requests] == ["/v1/predictions"]


async def test_a_list_of_files_that_cannot_be_read_proves_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.replicate_reads._PAUSES_S", ())

    def answer(request: Request) -> Answer:
        if request.path.startswith("/v1/files"):
            return json_reply({}, 503)
        return json_reply({"results": [bought(1, {"prompt": "a fox", "seed": 3})], "next": None})

    with pytest.raises(ProviderUnavailable):
        await looked_up(answer, "token-1")


async def test_a_seed_or_a_mark_never_makes_a_foreign_job_one_of_ours() -> None:
    rows = [bought(1, {"seed": seed_of("token-1")}), bought(2, {"img": "https://x/a.png"}, "tencentarc/gfpgan")]
    async with replicate(account(rows)) as (provider, _):
        listed = [job async for job in provider.list_jobs(NOW)]

    assert [(job.report.job_id, job.token) for job in listed] == [("job1", None), ("job2", None)]


# --- what is bought, and marked before it is ------------------------------------------------------------------------------


def accepting(request: Request) -> Answer:
    if request.path.endswith("/v1/files"):
        return json_reply({"id": "f1", "urls": {"get": "https://api.replicate.com/v1/files/f1"}}, 201)
    return json_reply({"id": "abc", "status": "starting"}, 201)


async def test_a_community_model_is_bought_by_its_version() -> None:
    async with replicate(accepting) as (provider, server):
        await provider.submit(order())

    (create,) = server.requests
    assert create.path == "/v1/predictions"
    assert create.json()["version"] == CATALOG.entry("replicate", SDXL).version
    assert create.json()["input"]["seed"] == seed_of("token-1")


async def test_a_purchase_that_nothing_else_tells_apart_is_noted_before_it_is_made() -> None:
    async with replicate(accepting) as (provider, server):
        await provider.submit(order(traits=PictureTraits(seed=7)))

    upload, create = server.requests
    assert (upload.path, create.path) == ("/v1/files", "/v1/predictions")
    written = noted("token-1", create.json()["input"])
    assert written.model_dump_json().encode() in upload.body
    assert b"a fox" not in upload.body


async def test_a_note_that_cannot_be_made_ends_before_anything_is_bought() -> None:
    async with replicate(lambda _: json_reply({}, 500)) as (provider, server):
        with pytest.raises(ProviderUnreachable):
            await provider.submit(order(traits=PictureTraits(seed=7)))

    assert [request.path for request in server.requests] == ["/v1/files"]


async def test_the_picture_for_an_upscaler_is_uploaded_with_our_token() -> None:
    async def read() -> bytes:
        return b"x"

    async def link() -> str | None:
        return "https://store.example/a.png"

    works_from = (ReferenceImage("image/png", 1, read, link),)
    traits = PictureTraits(scale=2)
    async with replicate(accepting) as (provider, server):
        await provider.submit(
            order("nightmareai/real-esrgan", size=None, references=works_from, capability="upscale", traits=traits)
        )

    upload, create = server.requests
    assert b'{"diorama_token":"token-1","model":"nightmareai/real-esrgan"}' in upload.body
    assert create.json()["input"]["image"] == "https://api.replicate.com/v1/files/f1"


# --- probing ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (None, "/v1/account"),
        ("openai/gpt-image-2", "/v1/models/openai/gpt-image-2"),
        (SDXL, f"/v1/models/{SDXL}/versions/{CATALOG.entry('replicate', SDXL).version}"),
    ],
)
async def test_a_probe_asks_for_what_is_free(model: str | None, path: str) -> None:
    async with replicate(lambda _: json_reply({})) as (provider, server):
        await provider.probe(model)

    assert [(request.method, request.path) for request in server.requests] == [("GET", path)]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, ProviderCredentials),
        (404, ModelGone),
        (429, ProviderBusy),
        (500, ProviderUnavailable),
        (302, ProviderUnavailable),
    ],
)
async def test_a_probe_meets_what_a_purchase_would_meet(status: int, expected: type[Exception]) -> None:
    async with replicate(lambda _: json_reply({}, status)) as (provider, _):
        with pytest.raises(expected):
            await provider.probe(SDXL)


async def test_a_probe_for_a_model_that_the_catalog_does_not_have_asks_nobody() -> None:
    async with replicate(lambda _: json_reply({})) as (provider, server):
        with pytest.raises(ModelGone):
            await provider.probe("../account")

    assert server.requests == []


# --- any account at all -------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(inputs=st.dictionaries(st.text(max_size=8), JSON, max_size=5), token=st.text(min_size=1))
def test_a_note_is_recognised_in_the_input_that_it_was_made_of(inputs: dict[str, Any], token: str) -> None:
    made_from = {**inputs, "seed": 7}
    marks = read_marks([json.loads(json.dumps(marked(1, noted(token, made_from))))], token)
    listed = bought(1, json.loads(json.dumps(made_from)))

    found, certain = marks.found_in([Row.of(listed), Row.of(bought(2, made_from, "somebody/else"))])

    assert found is not None
    assert (found.job_id, certain) == ("job1", True)


@given(files=st.lists(st.dictionaries(st.sampled_from(["metadata", "urls", "id"]), JSON)), row=JSON)
def test_no_file_and_no_row_is_so_strange_that_reading_it_fails(files: list[dict[str, Any]], row: Any) -> None:
    listed = Row.of({"id": "x", "model": row, "input": row, "webhook": row})

    assert read_marks(files, "token-1").found_in([listed]) == (None, True)
    assert not listed.carries("token-1", CATALOG.entry("replicate", SDXL))
