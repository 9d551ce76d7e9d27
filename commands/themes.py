"""`diorama themes`."""

import typer
from rich.table import Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False)


@app.command()
def themes(
    *, api_url: ApiUrl = None, api_key: ApiKey = None, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False
) -> None:
    """List the places that a scene can be set in."""
    screen = Screen(as_json=as_json)

    async def show() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            found = await client.themes()
        table = Table("theme", "title", "description", box=None, header_style="dim")
        for theme in found:
            screen.record("theme", **theme)
            table.add_row(theme["name"], theme["title"], theme["description"])
        screen.console.print(table)
        return ExitCode.ok

    run(screen, show())
