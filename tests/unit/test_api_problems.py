"""Problem documents: every error of the tree has its status, and no vendor's or server's secret leaves."""

import json
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI, Request

import errors
from api import problems


def request_to(path: str) -> Request:
    return Request(
        {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "request_id": "r"}
    )


def answer_to(error: errors.DioramaError) -> tuple[int, dict[str, str], dict[str, Any]]:
    app = FastAPI()
    problems.install(app)
    handler: Any = app.exception_handlers[errors.DioramaError]
    response = handler(request_to("/v1/generations"), error)
    return response.status_code, dict(response.headers), json.loads(response.body)


@pytest.mark.parametrize("error", errors.every_error(), ids=lambda error: error.__name__)
def test_every_detail_is_in_our_own_words(error: type[errors.DioramaError]) -> None:
    _, _, body = answer_to(error())

    assert body["detail"] not in {status.description for status in HTTPStatus if status.description}


@pytest.mark.parametrize("error", errors.every_error(), ids=lambda error: error.__name__)
def test_every_error_becomes_a_problem_document(error: type[errors.DioramaError]) -> None:
    status, headers, body = answer_to(error())

    assert headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["type"] == f"/problems/{body['code']}"
    assert body["suggestion"]
    client_can_mend_it = issubclass(error, errors.RequestError)
    assert (400 <= status < 500) is client_can_mend_it


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest, 422),
        (errors.UnknownTheme, 422),
        (errors.ImageUrlForbidden, 422),
        (errors.Unauthenticated, 401),
        (errors.WebhookRejected, 401),
        (errors.NotFound, 404),
        (errors.AlreadyFinal, 409),
        (errors.IdempotencyKeyReused, 422),
        (errors.DatabaseUnavailable, 503),
        (errors.StorageUnavailable, 503),
        (errors.StorageFull, 503),
        (errors.ObjectMissing, 500),
        (errors.ConfigurationError, 500),
        (errors.OutcomeUnknown, 500),
    ],
)
def test_the_status_comes_from_the_nearest_ancestor_in_the_table(error: type[errors.DioramaError], status: int) -> None:
    assert problems.status_of(error()) == status


def test_facts_are_shown_but_cannot_replace_the_members_of_a_problem() -> None:
    _, _, body = answer_to(errors.ModelRetired("gone", replaced_by="another", status="hacked"))

    assert body["replaced_by"] == "another"
    assert body["status"] == 422


def test_a_fault_of_ours_says_nothing_about_itself() -> None:
    status, _, body = answer_to(errors.ConfigurationError("password=hunter2", path="/etc/secret"))

    assert status == 500
    assert body["code"] == "internal_error"
    assert "hunter2" not in json.dumps(body)
    assert "secret" not in json.dumps(body)


def test_what_a_server_said_stays_with_us() -> None:
    status, _, body = answer_to(errors.StorageUnavailable("the store refused: NoSuchBucket", bucket="diorama"))

    assert (status, body["code"]) == (503, "storage_unavailable")
    assert "NoSuchBucket" not in json.dumps(body)
    assert "bucket" not in body


def test_a_missing_key_says_how_to_authenticate() -> None:
    _, headers, _ = answer_to(errors.Unauthenticated())

    assert headers["www-authenticate"].startswith("Bearer")


def test_a_server_that_is_away_says_when_to_come_back() -> None:
    _, headers, _ = answer_to(errors.DatabaseUnavailable())

    assert int(headers["retry-after"]) > 0
