"""Our errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, and whether its client may come again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from fastapi.responses import JSONResponse
from pydantic import ValidationError

import errors
from api import cost_headers
from api.problems import RETRY_AFTER_S, status_of

Row = TypeVar("Row")

GENERATION_HEADER: Final = "X-Diorama-Generation"

INVALID: Final = "invalid_request_error"
SERVER: Final = "server_error"


class Refused(Exception):
    """A call that is answered with an error of OpenAI's shape."""

    def __init__(self, answer: "OpenAIError") -> None:
        super().__init__(answer.code)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class OpenAIError:
    """`again`: the client may repeat the call by itself, as its own repetitions never buy twice; `retry_after_s`: not before."""

    status: int
    message: str
    type: str = INVALID
    code: str | None = None
    param: str | None = None
    again: bool = False
    retry_after_s: str | None = None
    generation_id: UUID | None = None
    cost_usd: Decimal | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}`."""
        told = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": {**told, **self.more}}

    def response(self, *, request_id: str | None = None) -> JSONResponse:
        """The HTTP answer. `x-should-retry` is what the openai client obeys before any rule of its own."""
        headers = {"x-should-retry": "true" if self.again else "false"}
        if self.retry_after_s is not None:
            headers["Retry-After"] = self.retry_after_s
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="diorama"'
        if self.generation_id is not None:
            headers[GENERATION_HEADER] = str(self.generation_id)
        if self.cost_usd is not None:
            headers[cost_headers.COST] = cost_headers.money(self.cost_usd)
        body = self.body()
        if request_id is not None:
            body["error"]["request_id"] = request_id
        return JSONResponse(body, self.status, headers)


# (status, type, code). The nearest ancestor in the tree decides; what is not here follows the native API's status.
_KNOWN: Final[dict[type[errors.DioramaError], tuple[int, str, str]]] = {
    errors.Unauthenticated: (401, INVALID, "invalid_api_key"),
    errors.UnknownModel: (404, INVALID, "model_not_found"),
    errors.ModelRetired: (404, INVALID, "model_not_found"),
    errors.ModelGone: (404, INVALID, "model_not_found"),
    errors.UnsupportedParameter: (400, INVALID, "unsupported_parameter"),
    errors.IdempotencyKeyReused: (409, "idempotency_error", "idempotency_key_reused"),
    errors.ImageUrlForbidden: (400, INVALID, "invalid_image_url"),
    errors.ImageUnreachable: (400, INVALID, "invalid_image_url"),
    errors.ImageRejected: (400, "image_generation_user_error", "invalid_image_file"),
    errors.InvalidRequest: (400, INVALID, "invalid_value"),
    errors.PolicyRefused: (400, "image_generation_user_error", "moderation_blocked"),
    errors.PromptRefused: (400, "image_generation_user_error", "moderation_blocked"),
    errors.ProviderRejectedInput: (400, INVALID, "invalid_value"),
    errors.ProviderBusy: (429, "rate_limit_error", "rate_limit_exceeded"),
    errors.RateLimited: (429, "rate_limit_error", "rate_limit_exceeded"),
    errors.QueueFull: (429, "rate_limit_error", "rate_limit_exceeded"),
    errors.DailyQuotaExhausted: (429, "rate_limit_error", "rate_limit_exceeded"),
    errors.ProviderQuota: (503, SERVER, "provider_quota"),
    errors.BudgetExhausted: (429, "insufficient_quota", "insufficient_quota"),
    errors.DeadlineExceeded: (504, SERVER, "deadline_exceeded"),
    errors.OutcomeUnknown: (409, SERVER, "needs_review"),
    errors.GenerationCanceled: (409, INVALID, "canceled"),
    errors.ObjectMissing: (410, INVALID, "image_deleted"),
}
_PARAMS: Final[dict[type[errors.DioramaError], str]] = {
    errors.UnknownModel: "model",
    errors.ModelRetired: "model",
    errors.ModelGone: "model",
    errors.UnsupportedSize: "size",
    errors.ImageRejected: "image",
    errors.PolicyRefused: "prompt",
    errors.PromptRefused: "prompt",
    errors.TooExpensive: "diorama.max_cost_usd",
}
# Parameters of ours as they are called in these calls.
_NAMES: Final = {
    "transparent": "background",
    "seed": "diorama.seed",
    "negative_prompt": "diorama.negative_prompt",
}
# Everything of these was taken back, so that a further call may go well.
_WORTH_ANOTHER: Final = (
    errors.ServiceUnavailable,
    errors.ProviderBusy,
    errors.ProviderUnreachable,
    errors.ProviderUnavailable,
    errors.ProviderInterrupted,
    errors.LanePaused,
    errors.CircuitOpen,
    errors.StorageUnavailable,
    errors.WorkflowEnded,
    errors.RateLimited,
    errors.QueueFull,
)


def told(error: errors.DioramaError) -> OpenAIError:
    """An error of our tree."""
    status, kind, code = _nearest(error)
    again = isinstance(error, _WORTH_ANOTHER) and error.billed == "no"
    wait = error.retry_after_s if isinstance(error, errors.ProviderBusy) else error.facts.get("retry_after_s")
    param = str(error.facts.get("parameter") or _of(_PARAMS, error) or "") or None
    return OpenAIError(
        status=status,
        message=_sentence(error, error.detail if status < 500 else error.title),
        type=kind,
        code=code,
        param=_NAMES.get(param, param) if param else None,
        again=again,
        retry_after_s=str(max(1, round(wait))) if wait is not None else RETRY_AFTER_S if again else None,
        more=_details(error),
    )


def invalid(error: ValidationError) -> OpenAIError:
    """The first thing that is wrong with a body; never the value, which may be a secret."""
    problem = error.errors(include_input=False, include_url=False)[0]
    param = ".".join(str(part) for part in problem["loc"] if part != "body") or None
    kind = str(problem["type"])
    if kind == "extra_forbidden":
        return OpenAIError(400, f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)
    if kind == "missing":
        return OpenAIError(
            400, f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param
        )
    code = "string_above_max_length" if kind == "string_too_long" else "invalid_value"
    why = str(problem["msg"]).removeprefix("Value error, ")
    message = f"Invalid '{param}': {why}." if param else f"Invalid request: {why}."
    return OpenAIError(400, message, code=code, param=param)


def wrong_parameter(param: str, why: str, code: str = "invalid_value") -> Refused:
    """A parameter that is refused."""
    return Refused(OpenAIError(400, why, code=code, param=param))


def _nearest(error: errors.DioramaError) -> tuple[int, str, str]:
    known = _of(_KNOWN, error)
    if known is not None:
        return known
    if isinstance(error, errors.ProviderError | errors.StorageError):
        return 503, SERVER, error.code
    status = status_of(error)
    return (500 if isinstance(error, errors.WorkflowEnded) else status), _type_of(status), error.code


def _type_of(status: int) -> str:
    return INVALID if status < 500 else SERVER


def _of(table: Mapping[type[errors.DioramaError], Row], error: errors.DioramaError) -> Row | None:
    return next((table[cls] for cls in type(error).__mro__ if cls in table), None)


def _sentence(error: errors.DioramaError, said: str) -> str:
    said = said.rstrip(".")
    return f"{said}. {error.suggestion}" if error.suggestion else f"{said}."


def _details(error: errors.DioramaError) -> dict[str, Any]:
    if not isinstance(error, errors.PolicyRefused | errors.PromptRefused):
        return {}
    named = str(error.facts.get("category") or "unspecified")
    stage = str(error.facts.get("stage") or "input")
    return {"moderation_details": {"moderation_stage": stage, "categories": named.split(", ")}}
