"""`diorama cancel ID`."""

from typing import Annotated

import typer

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False)


@app.command()
def cancel(
    generation_id: Annotated[str, typer.Argument(metavar="ID", help="The generation's id.")],
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Ask a generation to stop; what it made is taken back.

    Exit code 0: the request to stop is kept, and will be carried out whatever happens. Exit code 1: it had ended before.
    """
    screen = Screen(as_json=as_json)

    async def ask() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            generation = await client.cancel(generation_id)
        screen.record("cancel_requested", generation=generation)
        ended = generation["status"] == "canceled"
        screen.say("It is canceled." if ended else f"It will stop. See the end with: diorama watch {generation_id}")
        return ExitCode.ok

    run(screen, ask())
