"""getimg's error bodies, its rate limits and what it says of keys and money."""

import time
from collections.abc import Mapping
from math import ceil

from sandbox.answers import Answer, gateway_page, json_answer
from sandbox.bearer_dialect import BearerDialect


def error(
    status: int,
    code: str,
    message: str,
    *,
    param: str | None = None,
    kind: str = "invalid_request_error",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """`{"error": {"message", "type", "param", "code"}}`."""
    return json_answer({"error": {"message": message, "type": kind, "param": param, "code": code}}, status, headers)


def invalid(message: str, param: str, code: str = "invalid_parameter") -> Answer:
    """400 for a parameter."""
    return error(400, code, message, param=param)


def policy_violation(category: str) -> Answer:
    """422 of the content policy; the category is told in the words only, and nothing is charged."""
    message = f"The request was blocked by our content policy: {category} content is not allowed."
    return error(422, "content_policy_violation", message)


class GetimgDialect(BearerDialect):
    """Credentials, rate limits and account troubles as getimg words them."""

    provider = "getimg"

    def unauthenticated(self, headers: Mapping[str, str]) -> Answer:
        """401, with the end of the key in the message."""
        key = headers.get("authorization", "").partition(" ")[2]
        return error(401, "invalid_api_key", f"Invalid API key provided: {'*' * 8}{key[-4:]}")

    def rate_headers(self, operation: str) -> dict[str, str]:
        """The bucket of the generations; there is none for anything else."""
        per_minute = self._settings.creates_per_minute
        if operation != "create" or per_minute is None:
            return {}
        return {
            "x-ratelimit-limit": str(int(per_minute)),
            "x-ratelimit-remaining": str(self._creates.remaining),
            "x-ratelimit-reset": str(ceil(time.time()) + 60),
        }

    def rate_limited(self, retry_after_s: float) -> Answer:
        """429 of the limit per minute."""
        message = "Rate limit exceeded. Please retry later."
        return error(429, "rate_limit", message, headers={"retry-after": str(ceil(retry_after_s))})

    def insufficient_credit(self) -> Answer:
        """402."""
        return error(402, "quota_exceeded", "Insufficient account balance. Top up at https://getimg.ai/app/developer.")

    def model_gone(self) -> Answer:
        """400 that names the model."""
        return invalid("Unsupported model.", "model")

    def input_refused(self) -> Answer:
        """400 that names another parameter."""
        return invalid("Unsupported output format 'bmp'.", "output_format")

    def server_error(self, status: int) -> Answer:
        """500 and 503 are JSON; a 502 is the page of the network."""
        if status in (500, 503):
            return error(status, "internal_error", "Something went wrong on our end.", kind="api_error")
        return gateway_page(status)
