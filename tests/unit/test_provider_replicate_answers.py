"""Replicate's bodies in our words: the error tables, the recorded shapes, and whatever else may come."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import (
    DeadlineExceeded,
    JobCanceled,
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
)
from providers.answers import Answer
from providers.catalog import Catalog
from providers.replicate_answers import read_prediction
from providers.replicate_errors import create_refusal, job_failure, read_refusal, upload_refusal

CATALOG = Catalog.load()
REPLICATE = CATALOG.provider("replicate")
BY_TOKENS = CATALOG.entry("replicate", "openai/gpt-image-2.5-flare")
BY_SECONDS = CATALOG.entry("replicate", "stability-ai/sdxl")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
# Recorded: a create on an official model, 2023-11 (no output, no times), and a finished prediction, 2023-08.
CREATED = {
    "id": "heat2o3bzn3ahtr6bjfftvbaci",
    "model": "replicate/lifeboat-70b",
    "version": "d-c6559c5791b50af57b69f4a73f8e021c",
    "input": {"prompt": "Please write a haiku about llamas."},
    "logs": "",
    "error": None,
    "status": "starting",
    "created_at": "2023-11-27T13:35:45.99397566Z",
    "urls": {"get": "https://api.replicate.com/v1/predictions/heat2o3bzn3ahtr6bjfftvbaci"},
}
FINISHED = {
    "id": "vgcm4plb7tgzlyznry5d5jkgvu",
    "model": "stability-ai/sdxl",
    "input": {"height": 512, "prompt": "a studio photo of a rainbow colored corgi", "seed": 42069, "width": 512},
    "logs": "Using seed: 42069\n 96%|█████████▌| 48/50 [00:02<00:00, 17.22it/s]\n100%|██████████| 50/50 [00:02<00:00]\n",
    "output": ["https://replicate.delivery/pbxt/9inf36wjsEWuQ6XTf84iezPftv9QZdePfGySnU5tUai3BOrWE/out-0.png"],
    "error": None,
    "status": "succeeded",
    "created_at": "2023-08-16T18:57:08.360785Z",
    "started_at": "2023-08-16T18:57:08.366092Z",
    "completed_at": "2023-08-16T18:57:12.17042Z",
    "metrics": {"predict_time": 3.804328},
}
THROTTLED = (
    "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a burst of 1 "
    "requests while you have less than $5.0 in credit. Your rate limit resets in ~9s."
)
NO_CREDIT = (
    "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to purchase"
)
TOO_LARGE = (
    "Input image of dimensions (1536, 1536, 4) has a total number of pixels 2359296 greater than the max size that fits in GPU "
    "memory on this hardware, 2096704. Resize input image and try again."
)
INVALID_FIELDS = {
    "detail": "- input.quality: Must be one of the following\n",
    "status": 422,
    "title": "Input validation failed",
    "invalid_fields": [{"type": "enum", "field": "input.quality", "description": "Must be one of the following"}],
}


def answer(status: int, body: object = None, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def report(**fields: Any) -> Any:
    return read_prediction(fields, "job1", REPLICATE, BY_TOKENS)


def metered(**fields: Any) -> Any:
    return read_prediction(fields, "job1", REPLICATE, BY_SECONDS)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            401,
            {"title": "Unauthenticated", "detail": "You did not pass a valid token", "status": 401},
            ProviderCredentials,
        ),
        (403, {"detail": "no"}, ProviderCredentials),
        (402, {"title": "Insufficient credit", "detail": NO_CREDIT, "status": 402}, ProviderQuota),
        (404, {"detail": "The requested resource could not be found.", "status": 404}, ModelGone),
        (422, {"title": "Invalid version or not permitted", "detail": "...", "status": 422}, ModelGone),
        (422, INVALID_FIELDS, ProviderRejectedInput),
        (400, b"<html>", ProviderRejectedInput),
        (413, {"detail": "Files must be less than 100MB in size"}, ProviderRejectedInput),
        (429, {"detail": "Request was throttled."}, ProviderBusy),
        (408, {}, OutcomeUnknown),
        (409, {}, OutcomeUnknown),
        (500, {"detail": "Internal server error"}, OutcomeUnknown),
        (502, b"<html>Bad gateway</html>", OutcomeUnknown),
        (503, {}, OutcomeUnknown),
        (524, b"<html>A timeout occurred</html>", OutcomeUnknown),
        (301, b"", OutcomeUnknown),
    ],
)
def test_a_refused_create_means_what_the_table_says(status: int, body: object, expected: type[ProviderError]) -> None:
    assert type(create_refusal(answer(status, body))) is expected


@pytest.mark.parametrize(
    ("body", "headers", "wait_s"),
    [
        ({"detail": THROTTLED, "status": 429, "retry_after": 9}, {"retry_after": "1"}, 9),
        ({"detail": "Request was throttled. Your rate limit resets in ~30s."}, {}, 30),
        ({"detail": "Request was throttled."}, {"retry_after": "7"}, 7),
        ({"retry_after": "soon"}, {}, 10),
        ({"retry_after": -3}, {}, 0),
        ({"retry_after": float("nan")}, {}, 10),
        ({"retry_after": 10**400}, {}, 10),
        (b"\xff<html>", {}, 10),
    ],
)
def test_a_throttled_create_says_how_long_to_wait(body: object, headers: dict[str, str], wait_s: float) -> None:
    busy = create_refusal(answer(429, body, **headers))

    assert isinstance(busy, ProviderBusy)
    assert busy.retry_after_s == wait_s


def test_a_throttle_for_lack_of_credit_is_marked_for_the_operator() -> None:
    assert create_refusal(answer(429, {"detail": THROTTLED})).facts["low_credit"] is True
    assert create_refusal(answer(429, {"detail": "Request was throttled."})).facts["low_credit"] is False


def test_rejected_fields_are_named_but_the_vendors_words_stay_here() -> None:
    refusal = create_refusal(answer(422, INVALID_FIELDS))

    assert refusal.facts["fields"] == "input.quality"
    assert "Must be" not in f"{refusal} {refusal.facts}"


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 408, 410, 418, 500, 503])
def test_a_look_that_fails_never_says_that_nothing_was_bought(status: int) -> None:
    assert type(read_refusal(answer(status, {}))) is ProviderUnavailable


@pytest.mark.parametrize(
    ("status", "expected"),
    [(500, ProviderUnreachable), (404, ProviderUnreachable), (401, ProviderCredentials), (413, ProviderRejectedInput)],
)
def test_a_failed_upload_leaves_the_purchase_unsent(status: int, expected: type[ProviderError]) -> None:
    assert type(upload_refusal(answer(status, {}))) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (x9)",
            PolicyRefused,
        ),
        ("NSFW content detected. Try running it again, or try a different prompt.", PolicyRefused),
        ("Your request was rejected by the safety system", PolicyRefused),
        ("Prediction interrupted; please retry (code: PA)", ProviderInterrupted),
        ("Director: unexpected error handling prediction (E9828)", ProviderInterrupted),
        ("Director: unexpected error handling prediction (E9243)", ProviderInterrupted),
        ("Director: unexpected error handling prediction (E8765)", ProviderInterrupted),
        ("E6716 Timeout Starting Prediction", ProviderInterrupted),
        ("Unknown error (E1000)", ProviderInterrupted),
        ("Service is temporarily unavailable. Please try again later. (E004)", ProviderInterrupted),
        ("Out of memory (E1001)", ProviderRejectedInput),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", ProviderRejectedInput),
        ("RuntimeError: CUDA error: out of memory", ProviderRejectedInput),
        ("torch.OutOfMemoryError", ProviderRejectedInput),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", ProviderRejectedInput),
        (TOO_LARGE, ProviderRejectedInput),
        ("cannot identify image file <_io.BytesIO object at 0x7f>", ProviderRejectedInput),
        ("CUDA error: an illegal memory access was encountered", ModelFailed),
        ("Content Moderated", PolicyRefused),
        ("Traceback (most recent call last): KeyError: 'E'", ModelFailed),
        ("", ModelFailed),
        (None, ModelFailed),
        ({"code": 5}, ModelFailed),
    ],
)
def test_a_failed_prediction_means_what_the_table_says(text: object, expected: type[ProviderError]) -> None:
    failure = job_failure(text, billed="no")

    assert type(failure) is expected
    if isinstance(text, str) and text:
        assert text not in f"{failure} {failure.facts}"


def test_the_recorded_answer_to_a_create_is_a_waiting_job() -> None:
    read = read_prediction(CREATED, "heat2o3bzn3ahtr6bjfftvbaci", REPLICATE)

    assert (read.state, read.outputs, read.progress, read.failure) == ("waiting", (), None, None)


def test_the_recorded_finished_prediction_has_its_output_and_times() -> None:
    read = read_prediction(FINISHED, "vgcm4plb7tgzlyznry5d5jkgvu", REPLICATE)

    assert read.state == "succeeded"
    assert [file.url for file in read.outputs] == FINISHED["output"]
    assert read.facts == {"predict_time_s": "3.804"}


def test_progress_is_the_last_percentage_in_the_logs() -> None:
    assert report(status="processing", logs=" 4%|\n 52%|##\n").progress == 0.52
    assert report(status="processing", logs="999%").progress == 1.0
    assert report(status="processing", logs=None).progress is None


def test_an_output_before_the_final_status_is_not_taken() -> None:
    read = report(status="processing", output=["https://replicate.delivery/a.png"])

    assert (read.state, read.outputs) == ("running", ())


@pytest.mark.parametrize(
    "output",
    [
        "https://replicate.delivery/a.png",
        ["https://replicate.delivery/a.png"],
        {"image": "https://replicate.delivery/a.png"},
        ["data:image/png;base64,iVBORw0="],
    ],
)
def test_an_output_may_be_a_string_a_list_or_an_object(output: object) -> None:
    assert len(report(status="succeeded", output=output).outputs) == 1


def test_the_last_of_several_files_is_the_picture_as_a_sketch_model_lists_what_it_saw_first() -> None:
    read = report(status="succeeded", output=["https://x/output_0.png", "https://x/output_1.png"])

    assert [file.url for file in read.outputs] == ["https://x/output_1.png", "https://x/output_0.png"]


@pytest.mark.parametrize("output", [None, [], "", {}])
def test_success_without_a_picture_is_a_refusal(output: object) -> None:
    read = report(status="succeeded", output=output)

    assert read.state == "failed"
    assert type(read.failure) is PolicyRefused


def test_success_whose_data_was_removed_has_expired_and_was_paid() -> None:
    read = report(status="succeeded", output=None, data_removed=True)

    assert type(read.failure) is OutputExpired
    assert read.failure.billed == "yes"


def test_success_with_something_else_than_files_is_a_failed_model() -> None:
    read = report(status="succeeded", output="a haiku about llamas")

    assert type(read.failure) is ModelFailed


@pytest.mark.parametrize(("status", "billed"), [("canceled", "yes"), ("aborted", "no")])
def test_a_stopped_job_is_paid_when_it_ran_and_free_when_it_did_not(status: str, billed: str) -> None:
    read = report(status=status)

    assert read.state == "canceled"
    assert type(read.failure) is JobCanceled
    assert read.failure.billed == billed


def test_a_job_that_its_deadline_stopped_says_so() -> None:
    read = report(status="canceled", deadline="2026-11-21T10:00:00Z", completed_at="2026-11-21T10:00:00.5Z")
    before = report(status="canceled", deadline="2026-11-21T10:00:00Z", completed_at="2026-11-21T09:59:00Z")

    assert type(read.failure) is DeadlineExceeded
    assert type(before.failure) is JobCanceled


@pytest.mark.parametrize(("metrics", "billed"), [({"predict_time": 3.1}, "unknown"), ({}, "no"), (None, "no")])
def test_a_refusal_after_the_model_ran_may_have_been_paid(metrics: object, billed: str) -> None:
    read = report(status="failed", error="flagged as sensitive (E005)", metrics=metrics)

    assert read.failure.billed == billed


def test_a_failure_is_free() -> None:
    assert report(status="failed", error="boom", metrics={"predict_time": 3.1}).failure.billed == "no"


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"status": "dreaming"}, "running"),
        ({}, "running"),
        ({"status": ["succeeded"]}, "running"),
        ({"status": "finished", "completed_at": "2026-11-21T10:00:00Z", "output": ["https://x/a.png"]}, "succeeded"),
        ({"status": "exploded", "completed_at": "2026-11-21T10:00:00Z", "error": "boom"}, "failed"),
    ],
)
def test_a_status_that_we_do_not_know_ends_when_the_job_has_an_end(fields: dict[str, Any], state: str) -> None:
    assert report(**fields).state == state


def test_token_counts_in_the_logs_become_the_cost() -> None:
    logs = "100%\nInput text token count: 100\nInput image token count: 1400\nOutput token count: 1000\n"

    read = report(status="succeeded", output=["https://x/a.png"], logs=logs)

    assert read.cost_usd == Decimal("0.0417")
    assert read.facts["output_tokens"] == "1000"


def test_without_token_counts_the_cost_is_the_catalogs() -> None:
    assert report(status="succeeded", output=["https://x/a.png"], logs="").cost_usd is None
    assert report(status="succeeded", output=["https://x/a.png"], logs="Output token count: 999999999").cost_usd is None


def test_seconds_of_a_gpu_become_the_cost_where_the_model_bills_them() -> None:
    read = metered(status="succeeded", output=["https://x/a.png"], metrics={"predict_time": 4.981337})

    assert read.cost_usd == Decimal("0.004857")
    assert report(status="succeeded", output=["https://x/a.png"], metrics={"predict_time": 4.98}).cost_usd is None


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "canceled"},
        {"status": "failed", "error": "NSFW content detected. Try running it again, or try a different prompt."},
        {"status": "succeeded", "output": []},
    ],
)
def test_seconds_are_the_cost_of_what_brought_no_picture_too(fields: dict[str, Any]) -> None:
    read = metered(**fields, metrics={"predict_time": 2})

    assert read.failure.billed in {"yes", "unknown"}
    assert read.cost_usd == Decimal("0.00195")
    assert metered(**fields).cost_usd is None


@given(
    body=st.fixed_dictionaries(
        {},
        optional={
            "status": JSON | st.sampled_from(["succeeded", "failed", "canceled", "aborted", "starting", "processing"]),
            **dict.fromkeys(("output", "error", "logs", "metrics", "data_removed", "deadline", "completed_at"), JSON),
        },
    )
)
def test_no_body_of_a_prediction_is_so_strange_that_reading_it_fails(body: dict[str, Any]) -> None:
    for read in (report(**body), metered(**body)):
        assert (read.failure is not None) == (read.state in {"failed", "canceled"})
        assert (len(read.outputs) > 0) == (read.state == "succeeded")
        assert read.cost_usd is None or read.cost_usd >= 0


@given(
    metrics=st.fixed_dictionaries({}, optional={"predict_time": JSON, "total_time": st.integers()}),
    moment=st.text(max_size=30) | st.datetimes().map(str),
)
def test_numbers_and_times_beyond_all_measure_are_no_failure(metrics: dict[str, Any], moment: str) -> None:
    assert report(status="canceled", metrics=metrics, deadline=moment, completed_at=moment).is_final


@given(status=st.integers(300, 599), body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_refusal_is_one_of_ours_and_none_of_5xx_is_definite(status: int, body: bytes) -> None:
    refusal = create_refusal(Answer(status, {}, body))

    assert isinstance(refusal, ProviderError)
    if status >= 500:
        assert type(refusal) is OutcomeUnknown
    assert isinstance(read_refusal(Answer(status, {}, body)), ProviderBusy | ProviderUnavailable)
