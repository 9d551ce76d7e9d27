"""`diorama quote avatar | scene | avatar-scene | image | enhance`."""

from decimal import Decimal

import typer
from rich.table import Column, Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.own_pictures import with_uploads
from commands.request_options import describes_a_request
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False)


@app.command()
@describes_a_request
def quote(
    body: Json,
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Ask what a request will cost, before it runs; it takes what `diorama generate` takes.

    Nothing is bought. The price is kept for 15 minutes: name the quote with --quote when you generate.
    """
    screen = Screen(as_json=as_json)

    async def ask() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            offered = await client.ask("POST", "/v1/quotes", body=await with_uploads(client, body))
        screen.record("quote", quote=offered)
        screen.console.print(_table(offered))
        for words in _words(offered):
            screen.say(words)
        return ExitCode.ok

    run(screen, ask())


def _table(offered: Json) -> Table:
    table = Table("picture", "provider", Column("model", no_wrap=True), box=None, header_style="dim", show_footer=True)
    least = f"{Decimal(offered['min_usd']):f}"
    table.columns[0].footer = f"all, at least {least}"
    table.add_column("expected (USD)", footer=str(offered["expected_usd"]), justify="right")
    table.add_column("at most (USD)", footer=str(offered["max_usd"]), justify="right")
    for picture in offered["pictures"]:
        prices = (str(picture["expected_usd"]), str(picture["max_usd"]))
        table.add_row(picture["step"], picture["provider"], picture["model"], *prices)
    return table


def _words(offered: Json) -> list[str]:
    words = [f"[yellow]{warning['detail']}[/yellow]" for warning in offered["warnings"]]
    for room in offered["budgets"]:
        left = "" if room["left_usd"] is None else f" {room['left_usd']} USD are left in it until {room['resets_at']}."
        fits = "has room for it" if room["fits"] else "has no room for it"
        words.append(f"The {room['of']}'s budget of the {room['period']} {fits}.{left}")
    words.append(f"At this price until {offered['expires_at']}: --quote {offered['id']}")
    return words
