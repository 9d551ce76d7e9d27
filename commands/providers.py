"""`diorama providers`."""

from typing import Annotated

import typer
from rich.table import Table

from commands import standing_words
from commands.http_client import Json
from commands.listing import show_items
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
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
    show_items(
        Screen(as_json=as_json),
        (api_url, api_key, stack_dir),
        "/v1/providers",
        kind="provider",
        is_wanted=lambda item: everything or item["configured"],
        table=_table,
        none_found="No provider has a key here.",
    )


def _table(shown: list[Json]) -> Table:
    table = Table("provider", "state", "success", "half / nine of ten take", "queue", "limit", box=None)
    table.header_style = standing_words.QUIET
    for item in shown:
        words = standing_words
        state = words.state(item) if item["configured"] else "[dim]no key[/dim]"
        facts = (words.success(item), words.took(item), words.queue(item), words.limit(item))
        table.add_row(item["name"], state, *facts)
    return table
