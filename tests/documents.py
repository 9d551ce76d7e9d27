"""Tables in documents that are written from the code: `python -m tests.documents` writes them, a test compares them."""

import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from api.openai.errors import told
from api.problems import CODES, STATUSES, status_of
from errors import (
    BudgetExhausted,
    DailyQuotaExhausted,
    DioramaError,
    GenerationCanceled,
    IdempotencyKeyReused,
    ImageRejected,
    InvalidRequest,
    NotFound,
    ProviderError,
    QueueFull,
    RateLimited,
    ScopeMissing,
    ServiceUnavailable,
    StorageError,
    TenantSuspended,
    Unauthenticated,
    WorkflowEnded,
    every_error,
)
from tests.models_document import endings_table, models_table
from tests.unit.test_imports import ALLOWED

ROOT = Path(__file__).parents[1]
# What a request for pictures can be told, at once or at its end.
MET_BY_PICTURES = (
    InvalidRequest,
    ImageRejected,
    Unauthenticated,
    ScopeMissing,
    TenantSuspended,
    RateLimited,
    QueueFull,
    DailyQuotaExhausted,
    BudgetExhausted,
    NotFound,
    IdempotencyKeyReused,
    ServiceUnavailable,
    ProviderError,
    StorageError,
    GenerationCanceled,
    WorkflowEnded,
)


def _rows(*rows: tuple[str, ...]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def errors_table() -> str:
    """One row per code of errors/, in the order of the tree."""
    known = {error.code: error for error in reversed(every_error())}
    rows = [_error_row(error) for error in reversed(known.values())]
    return _rows(("code", "HTTP", "again", "billed", "title", "what happened", "what to do"), ("---",) * 7, *rows)


def _error_row(error: type[DioramaError]) -> tuple[str, ...]:
    answered = any(cls in STATUSES for cls in error.__mro__) or error is DioramaError
    status = str(status_of(error.__new__(error))) if answered else ""
    again = "yes" if error.retryable else "no"
    return f"`{error.code}`", status, again, str(error.billed), error.title, _what_happened(error), error.suggestion


def _what_happened(error: type[DioramaError]) -> str:
    """The class says it to whoever reads the code; of the tree itself there is nothing to say."""
    said = " ".join((error.__doc__ or "").partition("\n\n")[0].split())
    return "A fault of ours that nobody foresaw." if error is DioramaError else said


def openai_table() -> str:
    """How each error that a picture's request can meet is told in OpenAI's shape."""
    kinds = [kind for kind in every_error() if issubclass(kind, MET_BY_PICTURES)]
    known = {kind.code: kind for kind in reversed(kinds)}
    rows = [_openai_row(kind) for kind in reversed(known.values())]
    return _rows(("our code", "HTTP", "type", "code", "repeated by the client"), ("---",) * 5, *rows)


def _openai_row(kind: type[DioramaError]) -> tuple[str, ...]:
    answer = told(kind())
    return f"`{kind.code}`", str(answer.status), f"`{answer.type}`", f"`{answer.code}`", "yes" if answer.again else "no"


def framework_table() -> str:
    """Codes that errors/ does not have."""
    ours = {error.code for error in every_error()}
    rows = [(f"`{code}`", str(status), HTTPStatus(status).phrase) for status, code in CODES.items() if code not in ours]
    return _rows(("code", "HTTP", "meaning"), ("---",) * 3, *rows)


def imports_table() -> str:
    """What each package may import of ours."""
    rows = []
    for package, allowed in ALLOWED.items():
        ours, _, foreign = allowed.partition("|")
        rows.append((f"`{package}`", ", ".join(ours.split()) or "nothing", ", ".join(foreign.split()) or "nothing"))
    return _rows(("package", "of ours", "foreign"), ("---",) * 3, *rows)


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("docs/errors.md", "errors"): errors_table,
    ("docs/errors.md", "framework"): framework_table,
    ("docs/openai.md", "errors"): openai_table,
    ("docs/architecture.md", "imports"): imports_table,
    ("docs/models.md", "models"): lambda: _rows(*models_table()),
    ("docs/models.md", "endings"): lambda: _rows(*endings_table()),
}


def with_table(text: str, name: str, table: str) -> str:
    """The document with this table between its marks. Raises ValueError: it has no such marks."""
    marks = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    written, count = marks.subn(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"the marks of the table {name} are not there")
    return written


def main() -> None:
    """Write all tables."""
    for (document, name), table in TABLES.items():
        path = ROOT / document
        path.write_text(with_table(path.read_text("utf-8"), name, table()), "utf-8")
        sys.stdout.write(f"{document}: {name}\n")


if __name__ == "__main__":
    main()
