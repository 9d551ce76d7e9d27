"""`diorama models`."""

from decimal import Decimal
from typing import Annotated

import typer
from rich.table import Column, Table

from commands import standing_words
from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False)

All = Annotated[bool, typer.Option("--all", help="Also those that cannot be used here.")]
Provider = Annotated[str | None, typer.Option(help="Only the models of this provider.")]
Capability = Annotated[
    str | None, typer.Option("--can", metavar="CAPABILITY", help="Only models that can do this, such as upscale.")
]


@app.command()
def models(
    *,
    provider: Provider = None,
    capability: Capability = None,
    everything: All = False,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Show the models: what they can do and cost, and how long a new picture would take.

    Times are measured on the pictures of the last five minutes, with the queue of now.
    """
    screen = Screen(as_json=as_json)

    async def show() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            found = (await client.ask("GET", "/v1/models"))["items"]
        of_provider = [item for item in found if provider in {None, item["provider"]}]
        able = [item for item in of_provider if capability is None or capability in item["capabilities"]]
        shown = [item for item in able if everything or (item["configured"] and not item["retired"])]
        for item in shown:
            screen.record("model", model=item)
        screen.console.print(_table(shown) if shown else "There are none; --all shows those without a key, too.")
        return ExitCode.ok

    run(screen, show())


def _table(shown: list[Json]) -> Table:
    table = Table("provider", Column("model", no_wrap=True), "can", "USD", box=None, header_style="dim")
    for title in ("now", "a new picture takes", "queue", "until"):
        table.add_column(title)
    for item in shown:
        facts = (_now(item), _takes(item), standing_words.queue(item), item["shutdown"] or "")
        can = ", ".join(item["capabilities"])
        table.add_row(item["provider"], item["model"], can, price(item), *facts)
    return table


def price(item: Json) -> str:
    """From the cheapest picture to the dearest: `0.006 - 0.25`."""
    prices = sorted(Decimal(str(one["usd"])) for one in item["prices"])
    if not prices:
        return f"{item['per_megapixel_usd']} / megapixel"
    return f"{prices[0]:f}" if prices[0] == prices[-1] else f"{prices[0]:f} - {prices[-1]:f}"


def _now(item: Json) -> str:
    if item["available"]:
        return standing_words.state(item)
    reason, _, _ = item["unavailable_because"].removeprefix("The ").rstrip(".").partition(":")
    return f"[red]{reason}[/red]"


def _takes(item: Json) -> str:
    estimate = item["estimate"]
    if estimate["median_s"] is None:
        return f"[dim]about {item['typical_s']} s by the catalog[/dim]" if item["available"] else ""
    return f"{standing_words.seconds(estimate['median_s'])} / {standing_words.seconds(estimate['p90_s'])}"
