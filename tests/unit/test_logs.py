"""What is logged, and what is not whoever asks for it."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from logs import configure_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.basicConfig(handlers=handlers, level=level, force=True)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


REFUSED = ValueError('null value in column "x"\nDETAIL:  Failing row contains (1, zwerg\n\nof zwerg).\n[SQL: insert]')


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("method", ["debug", "info", "warning", "error"])
def test_a_prompt_is_logged_at_no_level(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", "test")
    getattr(structlog.get_logger("a"), method)("happened", prompt="zwerg", step="avatar")
    getattr(logging.getLogger("b"), method)("happened", extra={"prompt": "zwerg"})

    lines = logged(capsys)

    assert [line["event"] for line in lines] == ["happened", "happened"]
    assert lines[0]["step"] == "avatar"
    assert "zwerg" not in json.dumps(lines)


@pytest.mark.parametrize(("wanted", "shown"), [(False, False), (True, True)])
def test_what_a_provider_says_is_logged_only_where_the_settings_ask_for_it(
    wanted: bool, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("INFO", "test", vendor_text=wanted)
    structlog.get_logger("a").warning("refused", vendor_text="your prompt 'zwerg' is bad")

    (line,) = logged(capsys)

    assert ("vendor_text" in line) is shown


def test_keys_and_addresses_are_for_debugging_alone(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", "test")
    structlog.get_logger("a").info("asked", url="http://x", token="t")
    structlog.get_logger("a").debug("asked", url="http://x")

    shown = [set(line) & {"url", "token"} for line in logged(capsys)]

    assert shown == [set(), {"url"}]


def test_the_values_of_a_row_that_postgresql_refused_are_left_out_of_a_stack_trace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "test")
    for error in (REFUSED, ValueError("odd")):
        structlog.get_logger("a").error("broken", exc_info=error)

    lines = logged(capsys)

    assert "null value in column" in lines[0]["exception"]
    assert "[SQL: insert]" in lines[0]["exception"]
    assert "zwerg" not in lines[0]["exception"]
    assert "ValueError: odd" in lines[1]["exception"]
