"""Errors over HTTP: RFC 9457 `application/problem+json`, with the codes of the error tree."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

import errors
from api.allowed_methods import allowed_methods
from contracts.frozen import Frozen
from contracts.statuses import Kind

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

# The nearest ancestor in this table decides; everything else is a fault of ours.
STATUSES: dict[type[errors.DioramaError], int] = {
    errors.RequestError: 400,
    errors.InvalidRequest: 422,
    errors.ImageRejected: 422,
    errors.ImageTooLarge: 422,
    errors.Unauthenticated: 401,
    errors.NotFound: 404,
    errors.AlreadyFinal: 409,
    errors.NotRetryable: 409,
    errors.IdempotencyKeyReused: 422,
    errors.WebhookRejected: 401,
    errors.NotAnOperator: 403,
    errors.PromptRefused: 422,
    errors.ScopeMissing: 403,
    errors.TenantSuspended: 403,
    errors.BudgetExhausted: 402,
    errors.QuoteExpired: 410,
    errors.QuoteMismatch: 422,
    errors.QuoteUsed: 409,
    errors.RateLimited: 429,
    errors.QueueFull: 429,
    errors.DailyQuotaExhausted: 429,
    errors.NotInReview: 409,
    errors.JobNotAdoptable: 409,
    errors.NoRoomToBuyAgain: 409,
    errors.UrlForbidden: 422,
    errors.TooManyWebhookEndpoints: 409,
    errors.TooManyKeys: 409,
    errors.KeyEnded: 409,
    errors.TenantNameTaken: 409,
    errors.OwnKeysNotOffered: 409,
    errors.WebhookEndpointDisabled: 409,
    errors.WebhookSecretChanged: 409,
    errors.ServiceUnavailable: 503,
    errors.ReconciliationUnfinished: 504,
    errors.StorageError: 503,
    errors.ObjectMissing: 500,
}

# Codes for what the framework refuses before our own code is asked.
CODES = {
    400: "bad_request",
    401: "unauthenticated",
    402: "payment_required",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    413: "content_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "invalid_request",
    429: "too_many_requests",
    500: "internal_error",
    503: "service_unavailable",
}

# How pydantic calls a union's member that is not known, or not named.
UNION_TAGS = frozenset({"union_tag_invalid", "union_tag_not_found"})
KINDS = frozenset(kind.value for kind in Kind)
_WITH_A_KEY = (403, 429)
RETRY_AFTER_S = "2"  # a restart of PostgreSQL or of the store takes about a second on the local stack


class FieldProblem(Frozen):
    """What is wrong with one field; `pointer` is a JSON pointer into the body, or into the query, path or headers."""

    pointer: str = Field(examples=["/scene/theme"])
    location: str = Field(examples=["body"])
    detail: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """RFC 9457: the same shape for every error; `code` is stable, the texts are for people."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["/problems/unknown_theme"])
    title: str = Field(examples=["There is no such theme"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["There is no theme 'mars'."])
    instance: str = Field(examples=["/v1/generations"])
    code: str = Field(examples=["unknown_theme"])
    suggestion: str | None = Field(default=None, examples=["GET /v1/themes lists the themes."])
    request_id: str | None = None
    errors: list[FieldProblem] | None = None


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that can answer with these problems.

    Where a key is asked for (401), it may also lack a scope (403), or ask too often (429).
    """
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*statuses, *(_WITH_A_KEY if 401 in statuses else ())})
    }


def status_of(error: errors.DioramaError) -> int:
    """The HTTP status for an error of our tree; 500 for what no client can cause."""
    return next((STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES), 500)


def problem_response(
    request: Request, status: int, code: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> JSONResponse:
    """One problem document; `members` are title, detail, suggestion, errors and facts."""
    title = members.pop("title", None) or HTTPStatus(status).phrase
    body = {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        # HTTP's own description of a status would guess: of 503 it says that the load is high.
        "detail": members.pop("detail", None) or title,
        "instance": request.url.path,
        "code": code,
        "request_id": request.scope.get("request_id"),
        **members,
    }
    shown = {name: value for name, value in body.items() if value is not None}
    return JSONResponse(shown, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def unexpected_problem(request: Request) -> JSONResponse:
    """The answer to a fault of ours that nobody foresaw; says nothing about it."""
    error = errors.DioramaError
    return problem_response(request, 500, error.code, title=error.title, suggestion=error.suggestion)


def _diorama_error(request: Request, error: errors.DioramaError) -> Response:
    status = status_of(error)
    headers: dict[str, str] = {}
    if status == 401 and isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="diorama"'
    if status == 503:
        headers["Retry-After"] = RETRY_AFTER_S
    if status == 429 and "retry_after_s" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after_s"])
    if status >= 500:
        log.warning("request.failed", code=error.code, cause=type(error.__cause__).__name__)
    if status >= 500:  # of a fault of ours, a client learns its name and when to come back, and nothing else
        shown: type[errors.DioramaError] = type(error) if status in {503, 504} else errors.DioramaError
        return problem_response(
            request, status, shown.code, headers=headers, title=shown.title, suggestion=shown.suggestion
        )
    facts = {name: value for name, value in error.facts.items() if name not in Problem.model_fields}
    return problem_response(
        request,
        status,
        error.code,
        headers=headers,
        title=error.title,
        detail=error.detail,
        suggestion=error.suggestion,
        **facts,
    )


def _framework_error(request: Request, error: HTTPException) -> Response:
    if error.status_code in {204, 304}:  # these have no body, and a client that gets one waits or stumbles
        return Response(status_code=error.status_code, headers=dict(error.headers or {}))
    code = CODES.get(error.status_code, "error")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = allowed_methods(request)
    return problem_response(request, error.status_code, code, detail=error.detail, headers=headers)


def _pointer(location: Sequence[str | int]) -> str:
    """A JSON pointer from where pydantic found a problem: `("body", "scene", "scene", "theme")` -> `/scene/theme`."""
    where, *parts = location
    if where == "body" and parts and parts[0] in KINDS:
        parts = parts[1:]  # pydantic names the member of the union first, which is no part of the body
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join(f"/{part}" for part in escaped)


def _field_problem(problem: Mapping[str, Any]) -> dict[str, str]:
    """Only the place and the message: the value itself may be a secret, or not even text."""
    pointer, told = _pointer(problem["loc"]), str(problem["msg"])
    if problem["type"] in UNION_TAGS:  # pydantic names the body and the classes of ours; the client wants the field
        pointer += f"/{problem['ctx']['discriminator']}".replace("'", "")
        known = re.findall(r"'([^']*)'", problem["ctx"].get("expected_tags", ""))
        told = f"Input should be one of: {', '.join(known)}" if known else "Field required"
    return {"pointer": pointer[:200], "location": str(problem["loc"][0]), "detail": told[:200]}


def _validation_error(request: Request, error: RequestValidationError) -> Response:
    found = [_field_problem(problem) for problem in error.errors()[:20]]
    invalid = errors.InvalidRequest
    named = ", ".join(dict.fromkeys(problem["pointer"] or problem["location"] for problem in found))
    return problem_response(
        request,
        422,
        invalid.code,
        title=invalid.title,
        detail=f"Not valid: {named}."[:500],
        suggestion=invalid.suggestion,
        errors=found,
    )


def install(app: FastAPI) -> None:
    """Answer every error of this application with a problem document."""
    app.exception_handler(errors.DioramaError)(_diorama_error)
    app.exception_handler(HTTPException)(_framework_error)
    app.exception_handler(RequestValidationError)(_validation_error)
