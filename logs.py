"""Logs as JSON lines on standard output, the same for api and worker: what happened, when, and to which generation."""

import logging
import re
import sys
from typing import Any, Final

import structlog

# Never, wherever a caller may have put them.
WORDS: Final = ("prompt",)
# Never above debug.
PRIVATE: Final = ("authorization", "api_key", "token", "url")
# What a provider said, word for word: it may repeat the prompt. Only where the settings ask for it.
VENDOR_TEXT: Final = "vendor_text"
# PostgreSQL names the values of a row that it refuses, and asyncpg repeats it at the end of its message.
# They may go over many lines: up to what SQLAlchemy or the next stack trace says.
ROW_VALUES: Final = re.compile(
    r"^DETAIL:.*?(?=\n\[SQL: |\n\nThe above exception|\n\nDuring handling|\Z)", re.MULTILINE | re.DOTALL
)


def configure_logging(level: str, service: str, *, vendor_text: bool = False) -> None:
    """Send structlog's and the standard library's records through one JSON renderer.

    `vendor_text`: log what providers say to failures in their own words, too.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _hide_words,
        *([] if vendor_text else [_hide_vendor_text]),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # Their debug lines hold URLs and headers; their info lines tell every request.
    for noisy in (
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "openai",
        "replicate",
        "aiohttp",
        "asyncio",
        "urllib3",
        "miniopy_async",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for framing in ("uvicorn.error", "websockets"):  # their debug lines hold what is sent to clients
        logging.getLogger(framing).setLevel(max(logging.INFO, logging.getLogger().level))
    structlog.contextvars.bind_contextvars(service=service)


def _hide_words(_logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    for word in WORDS if method == "debug" else (*WORDS, *PRIVATE):
        event.pop(word, None)
    if "exception" in event:
        event["exception"] = ROW_VALUES.sub("DETAIL: (not shown)", str(event["exception"]))
    return event


def _hide_vendor_text(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    event.pop(VENDOR_TEXT, None)
    return event
