"""`diorama watch ID`."""

from pathlib import Path
from typing import Annotated

import typer

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.watching import conclude, watch_to_end

app = typer.Typer(add_completion=False)


@app.command()
def watch(
    generation_id: Annotated[str, typer.Argument(metavar="ID", help="The generation's id.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Save the pictures there. Default: they are not saved.")] = None,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Follow a generation to its end.

    The exit code tells how it ended. A dropped connection is taken up again where it was lost.
    """
    screen = Screen(as_json=as_json)

    async def follow() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            kind = (await client.generation(generation_id))["kind"]
            ended = await watch_to_end(screen, client, generation_id, kind)
            return await conclude(screen, client, ended, out)

    run(screen, follow())
