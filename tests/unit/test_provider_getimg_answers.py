"""getimg's bodies in our words: the error table, the picture or where it lies, its cost, and whatever else may come."""

import base64
import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import (
    ModelGone,
    OutcomeUnknown,
    OutputCorrupt,
    PolicyRefused,
    ProviderBusy,
    ProviderCredentials,
    ProviderError,
    ProviderQuota,
    ProviderRejectedInput,
    ProviderUnavailable,
)
from providers.answers import Answer
from providers.base import FinishedPicture, RemoteFile
from providers.getimg_answers import PictureElsewhere, read_made
from providers.getimg_errors import create_refusal, read_refusal

PNG = b"\x89PNG\r\n\x1a\n and so on"
URL = "https://media.example/picture.png?signature=x"
USAGE = {"billable_unit": "image", "quantity": 1, "unit_price": 0.035, "total_cost": 0.035}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def answer(status: int, body: object, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def refused(status: int, code: str | None, message: str = "", **fields: object) -> Answer:
    return answer(status, {"error": {"message": message, "type": "invalid_request_error", "code": code, **fields}})


def lying(**changes: object) -> dict[str, Any]:
    picture = {
        "url": URL,
        "width": 2048,
        "height": 2048,
        "mime_type": "image/png",
        "deletes_at": "2026-11-22T00:00:00Z",
    }
    return {"id": "g", "model": "m", "status": "completed", "data": [picture], "usage": USAGE, **changes}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "invalid_parameter", ProviderRejectedInput),
        (400, "parameter_missing", ProviderRejectedInput),
        (400, None, ProviderRejectedInput),
        (413, None, ProviderRejectedInput),
        (401, "invalid_api_key", ProviderCredentials),
        (400, "invalid_api_key", ProviderCredentials),
        (401, None, ProviderCredentials),
        (402, "quota_exceeded", ProviderQuota),
        (402, None, ProviderQuota),
        (429, "quota_exceeded", ProviderQuota),
        (403, None, ModelGone),
        (404, None, ModelGone),
        (422, "content_policy_violation", PolicyRefused),
        (400, "content_moderation", PolicyRefused),
        (422, None, ProviderRejectedInput),
        (429, "rate_limit", ProviderBusy),
        (429, None, ProviderBusy),
        (408, None, OutcomeUnknown),
        (409, None, OutcomeUnknown),
        (500, "internal_error", OutcomeUnknown),
        (503, None, OutcomeUnknown),
        (520, None, OutcomeUnknown),
    ],
)
def test_a_refused_create_means_what_the_table_says(
    status: int, code: str | None, expected: type[ProviderError]
) -> None:
    assert type(create_refusal(refused(status, code))) is expected


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [({"retry_after": "20"}, 20), ({"retry_after": "soon"}, 5), ({"retry_after": "99999"}, 3600), ({}, 5)],
)
def test_a_rate_limit_says_how_long_to_wait(headers: dict[str, str], wait_s: float) -> None:
    busy = create_refusal(answer(429, {"error": {"message": "", "code": "rate_limit"}}, **headers))

    assert isinstance(busy, ProviderBusy)
    assert busy.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("Blocked by our content policy: sexual content is not allowed.", "sexual"),
        ("Blocked: Violence/Graphic.", "violence/graphic"),
        ("Blocked: violence.", "violence"),
        ("Nonviolent whatever", "unspecified"),
        ("<script>", "unspecified"),
    ],
)
def test_a_policy_refusal_is_free_and_names_a_category_that_we_know(message: str, category: str) -> None:
    refusal = create_refusal(refused(422, "content_policy_violation", message))

    assert (refusal.facts["category"], refusal.billed) == (category, "no")


def test_a_rejected_parameter_is_named_but_the_vendors_words_stay_here() -> None:
    refusal = create_refusal(refused(400, "invalid_parameter", "Unsupported resolution '8K'.", param="resolution"))
    strange = create_refusal(refused(400, "invalid_parameter", "", param="See https://vendor.example"))

    assert refusal.facts["fields"] == "resolution"
    assert strange.facts["fields"] == ""
    assert "8K" not in f"{refusal} {refusal.facts}"


def test_a_model_that_is_not_there_is_told_as_a_parameter_and_means_that_it_is_gone() -> None:
    assert type(create_refusal(refused(400, "invalid_parameter", param="model"))) is ModelGone


def test_a_failed_question_that_buys_nothing_may_be_asked_again() -> None:
    assert type(read_refusal(refused(503, None))) is ProviderUnavailable
    assert type(read_refusal(refused(401, "invalid_api_key"))) is ProviderCredentials


def test_version_2_says_where_the_picture_lies_and_what_it_cost() -> None:
    made = read_made(answer(200, lying()))

    assert isinstance(made, PictureElsewhere)
    assert (made.file.url, made.cost_usd) == (URL, Decimal("0.035"))


def test_version_1_gives_the_picture_itself_and_what_it_cost() -> None:
    made = read_made(answer(200, {"image": base64.b64encode(PNG).decode(), "seed": 7, "cost": 0.0032}))

    assert isinstance(made, FinishedPicture)
    assert (made.body, made.content_type, made.cost_usd) == (PNG, "image/png", Decimal("0.0032"))


def test_version_1_may_give_a_url_instead() -> None:
    made = read_made(answer(200, {"url": URL, "cost": 0.0032}))

    assert made == PictureElsewhere(RemoteFile(URL), Decimal("0.0032"))


@pytest.mark.parametrize(
    "usage", [None, {}, "many", {"total_cost": None}, {"total_cost": -1}, {"total_cost": 1e9}, {"total_cost": True}]
)
def test_a_cost_that_cannot_be_right_leaves_it_to_the_catalog(usage: object) -> None:
    made = read_made(answer(200, lying(usage=usage)))

    assert made.cost_usd is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", OutcomeUnknown),
        (b"<html>", OutcomeUnknown),
        (b'{"id": "g", "data": [{"url": "https', OutcomeUnknown),
        ({}, OutcomeUnknown),
        ([], OutcomeUnknown),
        (lying(data=None), OutcomeUnknown),
        ({"image": "", "cost": 0.1}, OutcomeUnknown),
        (lying(data=[]), PolicyRefused),
        (lying(data=[], usage=None), PolicyRefused),
        (lying(data=[None]), OutputCorrupt),
        (lying(data=[{"url": 7}]), OutputCorrupt),
        ({"image": "%%%"}, OutputCorrupt),
        ({"image": "é"}, OutputCorrupt),
    ],
)
def test_an_accepted_create_without_its_picture_is_never_taken_for_unpaid(
    body: object, expected: type[ProviderError]
) -> None:
    with pytest.raises(expected) as caught:
        read_made(answer(200, body))

    assert caught.value.billed in {"yes", "unknown"}


@pytest.mark.parametrize(("usage", "billed"), [(USAGE, "yes"), ({"total_cost": 0}, "unknown"), (None, "unknown")])
def test_a_picture_that_was_held_back_is_paid_when_the_answer_says_what_it_cost(usage: object, billed: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        read_made(answer(200, lying(data=[], usage=usage)))

    assert caught.value.billed == billed


@given(
    body=JSON
    | st.fixed_dictionaries({"data": st.lists(JSON | st.fixed_dictionaries({"url": JSON}), max_size=2), "usage": JSON})
    | st.fixed_dictionaries({"image": JSON, "url": JSON, "cost": JSON})
)
def test_no_accepted_answer_is_so_strange_that_reading_it_fails_otherwise(body: object) -> None:
    with contextlib.suppress(OutcomeUnknown, OutputCorrupt, PolicyRefused):
        made = read_made(answer(200, body))

        assert made.cost_usd is None or made.cost_usd.is_finite()


@given(
    status=st.integers(300, 599),
    error=JSON | st.fixed_dictionaries({"code": JSON, "message": JSON, "param": JSON, "type": JSON}),
)
def test_any_refusal_is_one_of_ours_and_none_of_5xx_is_definite(status: int, error: object) -> None:
    refusal = create_refusal(answer(status, {"error": error}))

    assert isinstance(refusal, ProviderError)
    if not 400 <= status < 500:
        assert type(refusal) is OutcomeUnknown
