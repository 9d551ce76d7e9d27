"""Options that several commands take, worded once."""

import re
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from contracts import reviews

AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON object a line on standard output; words for people on standard error.")
]
StackDir = Annotated[
    Path, typer.Option("--stack-dir", envvar="DIORAMA_STACK_DIR", help="The folder of the local stack.")
]
ApiUrl = Annotated[
    str | None,
    typer.Option("--api-url", envvar="DIORAMA_API_URL", help="The API's address. Default: the running local stack."),
]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="DIORAMA_API_KEY", help="An API key. Default: the local stack's own key."),
]
OutDir = Annotated[Path, typer.Option("--out", help="The folder that the pictures are saved in.")]

STACK_DIR = Path(".diorama")

# What the API takes at most, and the database with it.
MOST_PER_MINUTE = 1_000_000
MOST_DAYS = 36_500


def new_name(given: str | None) -> str | None:
    """The name that a tenant or key is to have, as an option's callback. Raises typer.BadParameter."""
    if given is not None and not re.fullmatch(r"[^\x00-\x1f\x7f]{1,100}", given := given.strip()):
        raise typer.BadParameter("A name has 1 to 100 characters, and no control characters.")
    return given


def note_of_form(given: str) -> str:
    """The reason for a decision, as an option's callback. Raises typer.BadParameter."""
    try:
        return TypeAdapter[str](reviews.Note).validate_python(given)
    except ValidationError:
        raise typer.BadParameter("A note has 1 to 1,000 characters, and no control characters.") from None
