"""Options that several commands take, worded once."""

from pathlib import Path
from typing import Annotated

import typer

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
