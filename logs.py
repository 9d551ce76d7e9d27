"""Logs as JSON lines on standard output, the same for api and worker: what happened, when, and to which generation."""

import logging
import sys
from typing import Any

import structlog

# Never above debug, wherever a caller may have put them.
PRIVATE = ("prompt", "authorization", "api_key", "token", "url")


def configure_logging(level: str, service: str) -> None:
    """Send structlog's and the standard library's records through one JSON renderer."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _hide_private,
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
    structlog.contextvars.bind_contextvars(service=service)


def _hide_private(_logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    if method != "debug":
        for word in PRIVATE:
            event.pop(word, None)
    return event
