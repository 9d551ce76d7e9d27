"""OpenAI's error bodies and its rate limits."""

import secrets
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final

from sandbox.answers import Answer, gateway_page, json_answer
from sandbox.bearer_dialect import BearerDialect
from sandbox.json_text import Json

MODERATION_MESSAGE: Final = (
    "Your request was rejected by the safety system. If you believe this is an error, contact us at help.openai.com and "
    "include the request ID {request_id}. safety_violations=[{categories}]."
)


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    more: Json | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """`{"error": {"message", "type", "param", "code"}}`."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code, **(more or {})}}
    return json_answer(body, status, headers)


def invalid_value(message: str, param: str, code: str = "invalid_value") -> Answer:
    """400 for a parameter."""
    return error(400, message, param=param, code=code)


def model_not_found(model: str) -> Answer:
    """404 for a model that never was."""
    message = f"The model '{model}' does not exist or you do not have access to it."
    return error(404, message, param="model", code="model_not_found")


def model_shut_down(model: str) -> Answer:
    """404 for a model that was shut down."""
    return error(404, f"The model `{model}` has been deprecated.", param="model", code="model_not_found")


def moderation_blocked(stage: str, categories: Sequence[str]) -> Answer:
    """400 of the safety system; the stage is "input" or "output"."""
    request_id = new_request_id()
    return error(
        400,
        MODERATION_MESSAGE.format(request_id=request_id, categories=", ".join(categories)),
        kind="image_generation_user_error",
        code="moderation_blocked",
        more={
            "request_id": request_id,
            "moderation_details": {"moderation_stage": stage, "categories": list(categories)},
        },
        headers={"x-request-id": request_id},
    )


def new_request_id() -> str:
    """An id as in the x-request-id header."""
    return f"req_{secrets.token_hex(16)}"


class OpenAIDialect(BearerDialect):
    """Credentials, rate limits and account troubles as OpenAI words them."""

    provider = "openai"

    def unauthenticated(self, headers: Mapping[str, str]) -> Answer:
        """401, with the key's ends in the message."""
        key = headers.get("authorization", "").partition(" ")[2]
        if not key:
            message = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth."
            return error(401, message)
        shown = f"{key[:3]}{'*' * 8}{key[-4:]}" if len(key) > 8 else "*" * len(key)
        message = f"Incorrect API key provided: {shown}. You can find your API key at https://platform.openai.com/account/api-keys."
        return error(401, message, code="invalid_api_key")

    def rate_headers(self, operation: str) -> dict[str, str]:
        """Request id, processing time and the request bucket."""
        headers = {"x-request-id": new_request_id(), "openai-version": "2020-10-01"}
        per_minute = self._settings.creates_per_minute
        if operation == "create" and per_minute is not None:
            headers["x-ratelimit-limit-requests"] = str(int(per_minute))
            headers["x-ratelimit-remaining-requests"] = str(self._creates.remaining)
            headers["x-ratelimit-reset-requests"] = f"{60 / per_minute:.3g}s" if per_minute else "1m0s"
        return headers

    def rate_limited(self, retry_after_s: float) -> Answer:
        """429 of the image bucket."""
        seconds = ceil(retry_after_s)
        limit = int(self._settings.creates_per_minute or 0)
        message = (
            f"Rate limit reached for gpt-image in organization org-sandbox on images per min: Limit {limit}, Used {limit}, "
            f"Requested 1. Please try again in {seconds}s."
        )
        headers = {"retry-after": str(seconds), "retry-after-ms": str(int(retry_after_s * 1000))}
        return error(429, message, kind="images", code="rate_limit_exceeded", headers=headers)

    def insufficient_credit(self) -> Answer:
        """429 that no retry will mend."""
        message = "You exceeded your current quota, please check your plan and billing details."
        return error(429, message, kind="insufficient_quota", code="insufficient_quota")

    def model_gone(self) -> Answer:
        """404 for a model that was shut down."""
        return model_shut_down("gpt-image")

    def input_refused(self) -> Answer:
        """400 for a value."""
        return invalid_value("Invalid value: 'bmp'. Supported values are: 'png', 'webp', and 'jpeg'.", "output_format")

    def server_error(self, status: int) -> Answer:
        """500 and 503 are JSON; a 502 is the page of the network."""
        if status == 500:
            return error(
                500, "The server had an error while processing your request. Sorry about that!", kind="server_error"
            )
        if status == 503:
            return error(503, "The engine is currently overloaded, please try again later.", kind="service_unavailable")
        return gateway_page(status)
