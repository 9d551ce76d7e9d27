"""WaveSpeed's envelope around every answer, its refusals, and its rate limits."""

from collections.abc import Mapping
from typing import Final

from sandbox.answers import Answer, gateway_page, json_answer
from sandbox.bearer_dialect import BearerDialect

MISSING_PARAMETER: Final = 1400
INVALID_PARAMETER: Final = 1401


def success(data: object) -> Answer:
    """200 with the data in its envelope."""
    return json_answer({"code": 200, "message": "success", "data": data})


def refused(status: int, message: str, code: int | None = None) -> Answer:
    """A refusal; `code` is WaveSpeed's own where it has one, else the HTTP status once more."""
    return json_answer({"code": code or status, "message": message}, status)


class WaveSpeedDialect(BearerDialect):
    """Credentials, rate limits and account troubles as WaveSpeed words them."""

    provider = "wavespeed"

    def unauthenticated(self, _headers: Mapping[str, str]) -> Answer:
        """401."""
        return refused(401, "Unauthorized: invalid API key")

    def rate_headers(self, _operation: str) -> dict[str, str]:
        """None: its pages name none."""
        return {}

    def rate_limited(self, retry_after_s: float) -> Answer:
        """429."""
        answer = refused(429, "Too many requests, please try again later")
        answer.headers["retry-after"] = str(max(1, round(retry_after_s)))
        return answer

    def insufficient_credit(self) -> Answer:
        """402."""
        return refused(402, "Insufficient credits. Please top up your account.")

    def model_gone(self) -> Answer:
        """404, as for any path that there is not."""
        return refused(404, "model not found")

    def input_refused(self) -> Answer:
        """400 with the code for a value."""
        return refused(400, "invalid parameter output_format", INVALID_PARAMETER)

    def server_error(self, status: int) -> Answer:
        """A 500 of the API itself, or the page of the network in front of it."""
        return refused(500, "Internal server error", 5000) if status == 500 else gateway_page(status)
