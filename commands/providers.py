"""`diorama providers`."""

from typing import Annotated

import typer
from rich.table import Table

from commands import standing_words
from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False)

All = Annotated[bool, typer.Option("--all", help="Also those that have no key here.")]


@app.command()
def providers(
    *,
    everything: All = False,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Show how the providers stand: breaker, success, speed, queue, limit.

    Success and speed are those of the last five minutes. `diorama lanes` pauses and limits them.
    """
    screen = Screen(as_json=as_json)

    async def show() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            found = (await client.ask("GET", "/v1/providers"))["items"]
        shown = [item for item in found if everything or item["configured"]]
        for item in shown:
            screen.record("provider", provider=item)
        screen.console.print(_table(shown) if shown else "No provider has a key here.")
        return ExitCode.ok

    run(screen, show())


def _table(shown: list[Json]) -> Table:
    table = Table("provider", "state", "success", "half / nine of ten take", "queue", "limit", box=None)
    table.header_style = standing_words.QUIET
    for item in shown:
        words = standing_words
        state = words.state(item) if item["configured"] else "[dim]no key[/dim]"
        facts = (words.success(item), words.took(item), words.queue(item), words.limit(item))
        table.add_row(item["name"], state, *facts)
    return table
