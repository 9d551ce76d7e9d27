"""OpenAI's bodies in our words: the error table, the picture, its cost, and whatever else may come."""

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
from providers.catalog import Catalog
from providers.openai_answers import cost_usd, read_picture
from providers.openai_errors import create_refusal, read_refusal

RATES = Catalog.load().entry("openai", "gpt-image-2.5-flare").token_rates
PNG = b"\x89PNG\r\n\x1a\n and so on"
USAGE = {
    "input_tokens": 150,
    "input_tokens_details": {"text_tokens": 50, "image_tokens": 100},
    "output_tokens": 400,
    "total_tokens": 550,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
VERIFY = (
    "Your organization must be verified to use the model `gpt-image-2`. Please go to: https://platform.openai.com/..."
)
LIMIT = "Rate limit reached for gpt-image-2 in organization org-x on input-images per min: Limit 5, Used 5. {}"
REJECTED = "Your request was rejected by the safety system. If you believe this is an error, contact us. {}"


def answer(status: int, body: object, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def refused(status: int, code: str | None, message: str = "", **fields: object) -> Answer:
    return answer(status, {"error": {"message": message, "type": "t", "param": None, "code": code, **fields}})


def picture(**changes: object) -> dict[str, Any]:
    body = {"created": 1, "size": "1920x1088", "data": [{"b64_json": base64.b64encode(PNG).decode()}], "usage": USAGE}
    return {**body, **changes}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "moderation_blocked", PolicyRefused),
        (400, "content_policy_violation", PolicyRefused),
        (400, "invalid_value", ProviderRejectedInput),
        (400, "unknown_parameter", ProviderRejectedInput),
        (400, "image_parse_error", ProviderRejectedInput),
        (400, None, ProviderRejectedInput),
        (413, None, ProviderRejectedInput),
        (400, "billing_hard_limit_reached", ProviderQuota),
        (401, "invalid_api_key", ProviderCredentials),
        (402, None, ProviderQuota),
        (403, None, ModelGone),
        (404, "model_not_found", ModelGone),
        (429, "rate_limit_exceeded", ProviderBusy),
        (429, None, ProviderBusy),
        (429, "insufficient_quota", ProviderQuota),
        (429, "billing_not_active", ProviderQuota),
        (429, "project_spend_limit_exceeded", ProviderQuota),
        (429, "organization_usage_limit_exceeded", ProviderQuota),
        (408, None, OutcomeUnknown),
        (409, None, OutcomeUnknown),
        (500, "server_error", OutcomeUnknown),
        (503, None, OutcomeUnknown),
        (520, None, OutcomeUnknown),
    ],
)
def test_a_refused_create_means_what_the_table_says(
    status: int, code: str | None, expected: type[ProviderError]
) -> None:
    assert type(create_refusal(refused(status, code))) is expected


@pytest.mark.parametrize(
    ("message", "headers", "wait_s"),
    [
        ("", {"retry_after": "20"}, 20),
        ("", {"retry_after_ms": "1500", "retry_after": "20"}, 1.5),
        (LIMIT.format("Please try again in 12s."), {}, 12),
        (LIMIT.format("Please try again in 1m30.5s. Visit ..."), {}, 90.5),
        (LIMIT.format("Please try again in 250ms."), {}, 0.25),
        (LIMIT.format(""), {"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10),
        ("", {}, 10),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(message: str, headers: dict[str, str], wait_s: float) -> None:
    body = {"error": {"message": message, "code": "rate_limit_exceeded"}}

    busy = create_refusal(answer(429, body, **headers))

    assert isinstance(busy, ProviderBusy)
    assert busy.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("fields", "category", "stage", "billed"),
    [
        ({"message": REJECTED.format("safety_violations=[sexual].")}, "sexual", "input", "no"),
        (
            {"message": REJECTED.format("safety_violations=[self_harm, violence].")},
            "self-harm, violence",
            "input",
            "no",
        ),
        ({"moderation_details": {"moderation_stage": "input", "categories": ["hate"]}}, "hate", "input", "no"),
        (
            {"moderation_details": {"moderation_stage": "output", "categories": ["violence/graphic"]}},
            "violence/graphic",
            "output",
            "yes",
        ),
        ({"moderation_details": {"categories": ["<script>", 7]}}, "unspecified", "input", "no"),
        ({"moderation_details": "?"}, "unspecified", "input", "no"),
    ],
)
def test_a_policy_refusal_names_category_stage_and_who_pays(
    fields: dict[str, object], category: str, stage: str, billed: str
) -> None:
    body = {"error": {"code": "moderation_blocked", "message": "", **fields}}

    refusal = create_refusal(answer(400, body))

    assert (refusal.facts["category"], refusal.facts["stage"], refusal.billed) == (category, stage, billed)


def test_a_rejected_parameter_is_named_but_the_vendors_words_stay_here() -> None:
    refusal = create_refusal(refused(400, "invalid_value", "Invalid size '1920x1080'.", param="size"))
    verify = create_refusal(refused(403, None, VERIFY))

    assert refusal.facts["fields"] == "size"
    assert "1920x1080" not in f"{refusal} {refusal.facts}"
    assert "platform.openai.com" not in f"{verify} {verify.facts}"


def test_a_failed_question_that_buys_nothing_may_be_asked_again() -> None:
    assert type(read_refusal(refused(503, None))) is ProviderUnavailable
    assert type(read_refusal(refused(401, "invalid_api_key"))) is ProviderCredentials


def test_the_picture_comes_with_its_type_and_the_cost_by_its_tokens() -> None:
    made = read_picture(answer(200, picture()), RATES)

    assert (made.body, made.content_type) == (PNG, "image/png")
    assert made.cost_usd == Decimal("0.01305")


def test_a_size_that_the_vendors_own_types_refuse_does_not_lose_the_picture() -> None:
    assert read_picture(answer(200, picture(size="1920x1088", quality="exquisite")), RATES).body == PNG


def test_without_token_rates_the_cost_is_the_catalogs() -> None:
    assert read_picture(answer(200, picture()), None).cost_usd is None


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "application/octet-stream"),
    ],
)
def test_the_type_of_a_picture_is_what_its_bytes_say(body: bytes, content_type: str) -> None:
    data = [{"b64_json": base64.b64encode(body).decode()}]

    assert read_picture(answer(200, picture(data=data, output_format="png")), RATES).content_type == content_type


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 1}, "many", {**USAGE, "output_tokens": 10**12}])
def test_usage_that_cannot_be_read_leaves_the_cost_to_the_catalog(usage: object) -> None:
    assert cost_usd(usage, RATES) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", OutcomeUnknown),
        (b"<html>", OutcomeUnknown),
        (b'{"created": 1, "data": [{"b64_json": "iVBORw', OutcomeUnknown),
        ({}, OutcomeUnknown),
        ([], OutcomeUnknown),
        (picture(data=None), OutcomeUnknown),
        (picture(data=[]), PolicyRefused),
        (picture(data=[None]), OutputCorrupt),
        (picture(data=[{}]), OutputCorrupt),
        (picture(data=[{"b64_json": "%%%"}]), OutputCorrupt),
        (picture(data=[{"b64_json": "é"}]), OutputCorrupt),
        (picture(data=[{"b64_json": ""}]), OutputCorrupt),
    ],
)
def test_an_accepted_create_without_its_picture_is_never_taken_for_unpaid(
    body: object, expected: type[ProviderError]
) -> None:
    with pytest.raises(expected) as caught:
        read_picture(answer(200, body), RATES)

    assert caught.value.billed in {"yes", "unknown"}


@given(body=JSON | st.fixed_dictionaries({"data": st.lists(JSON, max_size=2), "usage": JSON}))
def test_no_accepted_answer_is_so_strange_that_reading_it_fails_otherwise(body: object) -> None:
    picture_bytes = b"none, and never taken for unpaid"
    with contextlib.suppress(OutcomeUnknown, OutputCorrupt, PolicyRefused):
        picture_bytes = read_picture(answer(200, body), RATES).body

    assert picture_bytes


@given(
    status=st.integers(300, 599),
    error=JSON | st.fixed_dictionaries({"code": JSON, "message": JSON, "param": JSON, "moderation_details": JSON}),
)
def test_any_refusal_is_one_of_ours_and_none_of_5xx_is_definite(status: int, error: object) -> None:
    refusal = create_refusal(answer(status, {"error": error}))

    assert isinstance(refusal, ProviderError)
    if status >= 500:
        assert type(refusal) is OutcomeUnknown
