"""Replicate's error bodies, word for word as the API gives them, and its rate limits."""

from collections.abc import Mapping
from math import ceil
from typing import Final

from sandbox.answers import PROBLEM, Answer, gateway_page, json_answer
from sandbox.json_text import Json, encode
from sandbox.rates import RateLimit
from sandbox.settings import Settings

LOW_CREDIT_PER_MINUTE: Final = 6.0
"""Creates per minute, one at a time, for accounts with less than 5 USD."""


def problem(status: int, detail: str, title: str | None = None, **more: object) -> Answer:
    """A problem+json answer."""
    body: Json = {"detail": detail, "status": status, **more}
    if title is not None:
        body["title"] = title
    return Answer(status, encode(body), PROBLEM)


def not_found(what: str = "The requested resource could not be found.") -> Answer:
    """404."""
    return problem(404, what, "Not found")


def invalid_version() -> Answer:
    """422 for a version that is unknown, or that the token may not use."""
    return problem(
        422,
        "The specified version does not exist (or perhaps you don't have permission to use it?)",
        "Invalid version or not permitted",
    )


def validation_failed(detail: str, invalid_fields: list[Json] | None = None) -> Answer:
    """422 for a body or an input that breaks its schema."""
    more = {} if invalid_fields is None else {"invalid_fields": invalid_fields}
    return problem(422, detail, "Input validation failed", **more)


class ReplicateDialect:
    """Credentials, rate limits and account troubles as Replicate words them."""

    provider = "replicate"

    def __init__(self, settings: Settings, token: str | None) -> None:
        self._settings = settings
        self._token = token
        self._creates = RateLimit()
        self._reads = RateLimit()
        self.refused_for_rate = 0

    def authorized(self, headers: Mapping[str, str]) -> bool:
        """`Bearer` or the older `Token`, and any credential unless one was set."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return scheme in ("Bearer", "Token") and bool(token) and self._token in (None, token)

    def unauthenticated(self, _headers: Mapping[str, str]) -> Answer:
        """401."""
        return problem(401, "You did not pass a valid authentication token", "Unauthenticated")

    def rate_wait_s(self, operation: str) -> float:
        """600 creates and 3000 other requests a minute by default."""
        settings = self._settings
        if operation != "create":
            wait_s = self._reads.take(settings.reads_per_minute)
        elif settings.low_credit:
            wait_s = self._creates.take(LOW_CREDIT_PER_MINUTE, burst=1.0)
        else:
            wait_s = self._creates.take(settings.creates_per_minute)
        self.refused_for_rate += wait_s > 0
        return wait_s

    def rate_headers(self, operation: str) -> dict[str, str]:
        """The recorded ones; there is no ratelimit-limit."""
        limit = self._creates if operation == "create" else self._reads
        return {"ratelimit-remaining": str(limit.remaining), "ratelimit-reset": "1"}

    def rate_limited(self, retry_after_s: float) -> Answer:
        """429. The wait is in the body, not in a header."""
        if self._settings.low_credit:
            return self.low_credit(retry_after_s)
        seconds = ceil(retry_after_s)
        return json_answer(
            {
                "detail": f"Request was throttled. Your rate limit resets in ~{seconds}s.",
                "status": 429,
                "retry_after": seconds,
            },
            429,
        )

    def low_credit(self, retry_after_s: float) -> Answer:
        """429 of the slow lane."""
        seconds = ceil(retry_after_s)
        detail = (
            "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a "
            f"burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~{seconds}s."
        )
        return json_answer({"detail": detail, "status": 429, "retry_after": seconds}, 429)

    def insufficient_credit(self) -> Answer:
        """402."""
        return problem(
            402,
            "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to "
            "purchase credit. Once you purchase credit, please wait a few minutes before trying again.",
            "Insufficient credit",
        )

    def model_gone(self) -> Answer:
        """422 for a version, also of a model that was taken down."""
        return invalid_version()

    def input_refused(self) -> Answer:
        """422 for a value that the model's schema does not have."""
        field, words = "input.output_format", 'output_format must be one of the following: "webp", "jpg", "png"'
        complaint: Json = {"type": "enum", "field": field, "description": words}
        return validation_failed(f"- {field}: {words}\n", [complaint])

    def server_error(self, status: int) -> Answer:
        """A 500 of the API itself, or the page of the network in front of it."""
        if status == 500:
            return problem(500, "An internal server error occurred", "Internal server error")
        return gateway_page(status)
