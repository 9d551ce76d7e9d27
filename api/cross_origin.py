"""Which web pages may call the API from a browser: none, unless the settings name their origins."""

import re
from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from api.cost_headers import DOCUMENTED as COSTS
from errors import ConfigurationError

_ORIGIN: Final = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# OpenAI's package for browsers sends these with each call; none of them is read here.
OF_OPENAIS_PACKAGE: Final = (
    "OpenAI-Organization",
    "OpenAI-Project",
    "User-Agent",
    "X-Stainless-Arch",
    "X-Stainless-Helper-Method",
    "X-Stainless-Lang",
    "X-Stainless-OS",
    "X-Stainless-Package-Version",
    "X-Stainless-Poll-Helper",
    "X-Stainless-Retry-Count",
    "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version",
    "X-Stainless-Timeout",
)
# What clients of ours send, and may read of an answer, beyond what browsers allow anyway.
SENT: Final = (
    *OF_OPENAIS_PACKAGE,
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Range",
    "X-Request-ID",
)
READ: Final = (
    "Content-Disposition",
    "Content-Range",
    "Deprecation",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "Sunset",
    *COSTS,
    "X-Diorama-Generation",
    "X-Request-ID",
)
PREFLIGHT_KEPT_S: Final = 600


def is_origin(text: str) -> bool:
    """Whether this is an origin as browsers say it: scheme, host and perhaps a port, and nothing behind."""
    return _ORIGIN.fullmatch(text) is not None


def allow_pages(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call `app`.

    Cookies and other credentials of a browser's are never allowed: a key is shown in a header, or not at all. Raises
    ConfigurationError for what is no origin; `*` is none, for a page is to be named.
    """
    for origin in origins:
        if not is_origin(origin):
            raise ConfigurationError(
                f"DIORAMA_CORS_ORIGINS is not usable: '{origin}' is no origin such as https://app.example.com."
            )
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[*origins],
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=READ,
            allow_credentials=False,
            max_age=PREFLIGHT_KEPT_S,
        )
