"""What WaveSpeed's answers mean: refusals by status and by code, tasks by status, and what is sent by the catalog's table."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from contracts.wishes import Capability, OutputFormat, PictureTraits, Shape
from errors import (
    JobCanceled,
    JobNotFound,
    ModelFailed,
    ModelGone,
    OutcomeUnknown,
    OutputExpired,
    PolicyRefused,
    ProviderBusy,
    ProviderCredentials,
    ProviderError,
    ProviderInterrupted,
    ProviderQuota,
    ProviderRejectedInput,
    ProviderUnavailable,
    ProviderUnreachable,
    UnsupportedSize,
)
from providers.answers import Answer
from providers.base import Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.model_entry import ModelEntry
from providers.wavespeed_answers import billed_usd, items_of, read_task
from providers.wavespeed_errors import create_refusal, poll_refusal, read_refusal, says_success, upload_refusal
from providers.wavespeed_input import model_input, path_of
from sandbox.wavespeed.models import load_wavespeed_models

CATALOG = Catalog.load()
WAVESPEED = CATALOG.provider("wavespeed")
ENTRIES = [entry for entry in CATALOG.models if entry.provider == "wavespeed"]
MODELS = load_wavespeed_models()
SPECS = Path(__file__).parents[1] / "specs"
URL = "https://cdn.example/1.png"

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def answer(status: int, code: object = None, message: object = "no", **headers: str) -> Answer:
    body = {"code": status if code is None else code, "message": message}
    return Answer(status, headers, json.dumps(body).encode())


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (answer(400), ProviderRejectedInput),
        (answer(401), ProviderCredentials),
        (answer(402), ProviderQuota),
        (answer(403), ProviderCredentials),
        (answer(404), ModelGone),
        (answer(413), ProviderRejectedInput),
        (answer(429), ProviderBusy),
        (answer(408), OutcomeUnknown),
        (answer(409), OutcomeUnknown),
        (answer(500), OutcomeUnknown),
        (answer(502), OutcomeUnknown),
        # the code in the envelope, where the HTTP status says less
        (answer(200, 400), ProviderRejectedInput),
        (answer(200, 401), ProviderCredentials),
        (answer(200, 402), ProviderQuota),
        (answer(200, 404), ModelGone),
        (answer(200, 429), ProviderBusy),
        (answer(200, 500), OutcomeUnknown),
        (answer(200, 5003), OutcomeUnknown),
        (answer(200, 5004), OutcomeUnknown),
        (answer(200, 1403), OutcomeUnknown),
        (answer(200, 1200), PolicyRefused),
        (answer(400, 1200), PolicyRefused),
        (answer(400, 1400), ProviderRejectedInput),
        (answer(200, 1401), ProviderRejectedInput),
        (answer(400, 1402), ProviderRejectedInput),
        (answer(502, 1401), OutcomeUnknown),
        (answer(200, "many"), OutcomeUnknown),
        (answer(200, True), OutcomeUnknown),
        # by its words, where there is no code for it
        (answer(400, message="Insufficient credits. Please top up."), ProviderQuota),
        (answer(400, message="The content may be sensitive."), PolicyRefused),
        (answer(400, message=["no"]), ProviderRejectedInput),
    ],
    ids=lambda value: f"{value.status} {value.body.decode()}" if isinstance(value, Answer) else value.__name__,
)
def test_a_create_that_names_no_task_is_refused_or_unknown(refused: Answer, expected: type[ProviderError]) -> None:
    refusal = create_refusal(refused)

    assert type(refusal) is expected
    assert refusal.billed == ("unknown" if expected is OutcomeUnknown else "no")


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [({"retry-after": "7"}, 7), ({}, 15), ({"retry-after": "soon"}, 15), ({"retry-after": "-5"}, 0)],
)
def test_a_limit_says_how_long_to_wait(headers: dict[str, str], wait_s: float) -> None:
    busy = read_refusal(answer(429, **headers))

    assert isinstance(busy, ProviderBusy)
    assert busy.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (answer(401), ProviderCredentials),
        (answer(402), ProviderQuota),
        (answer(404), ProviderUnreachable),
        (answer(429), ProviderBusy),
        (answer(500), ProviderUnreachable),
        (answer(200, 5000), ProviderUnreachable),
    ],
)
def test_an_upload_that_is_refused_has_bought_nothing(refused: Answer, expected: type[ProviderError]) -> None:
    refusal = upload_refusal(refused)

    assert type(refusal) is expected
    assert refusal.billed == "no"


@given(status=st.integers(100, 599), body=st.binary(max_size=60) | junk.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_back_a_look_never_ends_a_job(status: int, body: bytes) -> None:
    given_answer = Answer(status, {}, body)

    assert isinstance(read_refusal(given_answer), ProviderBusy | ProviderUnavailable)
    assert isinstance(poll_refusal(given_answer), ProviderBusy | ProviderUnavailable | JobNotFound)


@given(status=st.integers(100, 399) | st.integers(500, 599), body=st.binary(max_size=60))
def test_only_4xx_and_a_code_of_wavespeeds_own_refuse_a_create(status: int, body: bytes) -> None:
    refusal = create_refusal(Answer(status, {}, body))

    assert isinstance(refusal, OutcomeUnknown)


@pytest.mark.parametrize(
    ("given_answer", "success"),
    [
        (answer(200), True),
        (Answer(200, {}, b"{}"), True),
        (answer(200, 400), False),
        (answer(400, 200), False),
        (answer(500), False),
    ],
)
def test_both_the_status_and_the_code_must_say_success(given_answer: Answer, success: bool) -> None:
    assert says_success(given_answer) is success


# --- tasks ------------------------------------------------------------------------------------------------------------


def task(status: object, **more: object) -> dict[str, Any]:
    return {"id": "abc", "status": status, "outputs": [], **more}


@pytest.mark.parametrize(
    ("status", "state"),
    [("created", "waiting"), ("processing", "running"), ("paused", "running"), (None, "running"), (7, "running")],
)
def test_a_task_that_has_not_ended_goes_on(status: object, state: str) -> None:
    report = read_task(task(status), "abc", WAVESPEED)

    assert (report.state, report.is_final, report.failure) == (state, False, None)


def test_a_completed_task_has_its_pictures_and_what_it_took() -> None:
    report = read_task(
        task("completed", outputs=[URL, "no-url"], has_nsfw_contents=[False], timings={"inference": 1234}),
        "abc",
        WAVESPEED,
    )

    assert [output.url for output in report.outputs] == [URL]
    assert (report.state, report.progress, report.facts) == ("succeeded", 1.0, {"predict_time_s": "1.234"})


@pytest.mark.parametrize(
    ("more", "expected", "billed"),
    [
        ({"outputs": [URL], "has_nsfw_contents": [True]}, PolicyRefused, "yes"),
        ({"outputs": [], "has_nsfw_contents": [True]}, PolicyRefused, "yes"),
        ({"outputs": []}, PolicyRefused, "unknown"),
        ({"outputs": None}, PolicyRefused, "unknown"),
        ({"outputs": ["naked base64"]}, ModelFailed, "yes"),
        ({"outputs": [7]}, ModelFailed, "yes"),
    ],
)
def test_a_completed_task_without_a_picture_to_show_is_a_failure_that_was_paid(
    more: dict[str, object], expected: type[ProviderError], billed: str
) -> None:
    report = read_task(task("completed", **more), "abc", WAVESPEED)

    assert report.state == "failed"
    assert type(report.failure) is expected
    assert report.failure.billed == billed


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"code": 1200, "error": "The content contains sensitive information."}, PolicyRefused),
        ({"code": 1400}, ProviderRejectedInput),
        ({"code": 1401}, ProviderRejectedInput),
        ({"code": 1402}, ModelFailed),
        ({"code": 1403}, ModelFailed),
        ({"code": 1405}, ModelFailed),
        ({"code": 5000}, ProviderInterrupted),
        ({"code": 5003}, ProviderInterrupted),
        ({"code": 5004}, ProviderInterrupted),
        ({"error": "Content flagged by moderation"}, PolicyRefused),
        ({"error": "CUDA error"}, ModelFailed),
        ({"error": None}, ModelFailed),
        ({"code": "x", "error": ["no"]}, ModelFailed),
    ],
)
def test_a_failed_task_says_why_and_is_refunded(more: dict[str, object], expected: type[ProviderError]) -> None:
    report = read_task(task("failed", **more), "abc", WAVESPEED)

    assert report.state == "failed"
    assert type(report.failure) is expected
    assert report.failure.billed == "no"


@pytest.mark.parametrize(
    ("status", "state", "expected"),
    [
        ("timeout", "failed", ProviderInterrupted),
        ("cancelled", "canceled", JobCanceled),
        ("canceled", "canceled", JobCanceled),
        ("deleted", "failed", OutputExpired),
    ],
)
def test_other_ends_are_ends_too(status: str, state: str, expected: type[ProviderError]) -> None:
    report = read_task(task(status), "abc", WAVESPEED)

    assert report.state == state
    assert type(report.failure) is expected


@given(
    body=st.dictionaries(st.sampled_from(["status", "outputs", "has_nsfw_contents", "code", "error", "timings"]), junk)
)
def test_no_task_is_too_odd_to_be_read(body: dict[str, Any]) -> None:
    report = read_task(body, "abc", WAVESPEED)

    assert report.is_final == (report.failure is not None or report.state == "succeeded")


@given(junk)
def test_no_page_and_no_bill_is_too_odd_to_be_read(data: object) -> None:
    rows = items_of(Answer(200, {}, json.dumps({"code": 200, "data": data}).encode()))

    cost = billed_usd([data] if isinstance(data, dict) else [])
    assert rows is None or isinstance(rows, list)
    assert cost is None or cost >= 0


# --- what is sent -----------------------------------------------------------------------------------------------------


async def _link() -> str | None:
    return "https://store.example/1.png"


async def _bytes() -> bytes:
    return b"picture"


REFERENCE = ReferenceImage("image/png", 7, _bytes, _link)


async def never_uploaded(_body: bytes, _content_type: str) -> str:
    raise AssertionError


def traits_of(entry: ModelEntry) -> st.SearchStrategy[PictureTraits]:
    """Only what the entry says that its model knows: what a purchase may hold."""
    known = entry.traits
    formats: tuple[OutputFormat, ...] = ("png", "jpeg", "webp")
    return st.builds(
        PictureTraits,
        seed=st.none() | st.integers(0, 2**31 - 1) if known.seed else st.none(),
        steps=st.none() | st.integers(*known.steps) if known.steps else st.none(),
        guidance=st.none() | st.floats(*known.guidance) if known.guidance else st.none(),
        strength=st.none() | st.floats(0, 1) if known.strength else st.none(),
        scale=st.sampled_from(known.scales) if known.scales else st.none(),
        output_format=st.sampled_from(formats),
    )


@st.composite
def purchases(draw: st.DrawFn) -> tuple[Purchase, ModelEntry]:
    entry = draw(st.sampled_from(ENTRIES))
    capability: Capability = draw(st.sampled_from(entry.capabilities))
    shape: Shape = draw(st.sampled_from(("square", "wide", "tall")))
    sides = {"square": (1024, 1024), "wide": (1920, 1080), "tall": (1080, 1920)}
    size = draw(st.none() | st.just(sides[shape]) | st.tuples(st.integers(256, 2048), st.integers(256, 2048)))
    most = entry.max_references if capability == "image_to_image" else 1
    references = 0 if capability == "text_to_image" else draw(st.integers(1, most))
    purchase = Purchase(
        token="token-1",
        model=entry.model,
        prompt=draw(st.text(min_size=1, max_size=40)),
        quality="medium",
        size=size,
        shape=shape,
        references=(REFERENCE,) * references,
        deadline_s=60,
        capability=capability,
        traits=draw(traits_of(entry)),
    )
    return purchase, entry


@given(purchases())
def test_every_purchase_that_the_catalog_allows_is_valid_input_of_its_model(made: tuple[Purchase, ModelEntry]) -> None:
    purchase, entry = made
    model = MODELS[path_of(purchase, entry).removeprefix("/api/v3/")]
    try:
        body = asyncio.run(model_input(purchase, entry, never_uploaded))
    except UnsupportedSize:  # selection never gives a size that the model cannot make
        return

    Draft202012Validator(model.schema).validate(json.loads(json.dumps(body)))
    width, height = model.pixels(body)
    if entry.is_sized:
        assert (width, height) == entry.recipe(purchase.shape, purchase.size).gives
    assert model.enlargement(body) == purchase.traits.scale
    assert "token-1" not in json.dumps(body)


@given(purchases().filter(lambda made: made[1].model.startswith("wavespeed-ai/flux")))
def test_what_is_sent_to_flux_is_what_its_openapi_file_describes(made: tuple[Purchase, ModelEntry]) -> None:
    purchase, entry = made
    schemas = json.loads((SPECS / "wavespeed.json").read_text("utf-8"))["components"]
    request = {**schemas["schemas"]["ImageGenerationRequest"], "additionalProperties": False, "components": schemas}
    try:
        body = asyncio.run(model_input(purchase, entry, never_uploaded))
    except UnsupportedSize:
        return

    Draft202012Validator(request).validate(json.loads(json.dumps(body)))
