"""`diorama models`."""

from decimal import Decimal
from typing import Annotated

import typer
from rich.table import Column, Table

from commands import standing_words
from commands.http_client import Json
from commands.listing import show_items
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
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

    def is_wanted(item: Json) -> bool:
        of_provider = provider in {None, item["provider"]}
        able = capability is None or capability in item["capabilities"]
        return of_provider and able and (everything or (item["configured"] and not item["retired"]))

    show_items(
        Screen(as_json=as_json),
        (api_url, api_key, stack_dir),
        "/v1/models",
        kind="model",
        is_wanted=is_wanted,
        table=_table,
        none_found="There are none; --all shows those without a key, too.",
    )


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
