"""`diorama budgets list`, `set` and `remove`."""

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Annotated, Literal

import typer
from rich.table import Column, Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import DioramaClient, Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False, no_args_is_help=True)

PATH = "/v1/budgets"
Of = Literal["key", "tenant", "provider", "system"]


@app.callback()
def all_of_them() -> None:
    """Say how much may be spent, by whom and in which time, and see what is left.

    An admin key decides about its own tenant and that one's keys; an operator's about everybody, the system and its providers.
    """


@app.command("list")
def list_budgets(
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """List the budgets, oldest first, with what is held, spent and left in the running period."""
    screen = Screen(as_json=as_json)

    async def show() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            found = [item async for item in _all(client)]
        for item in found:
            screen.record("budget", budget=item)
        screen.console.print(_table(found) if found else "There are none.")
        return ExitCode.ok

    run(screen, show())


@app.command("set")
def set_budget(
    of: Annotated[Of, typer.Argument(help="Whose money is counted.")],
    owner: Annotated[
        str, typer.Argument(help="The key's or tenant's id, or the provider's name. Default: your own tenant.")
    ] = "",
    *,
    usd: Annotated[str, typer.Option(help="What may be spent at most.")],
    period: Annotated[Literal["day", "month"], typer.Option("--per", help="A calendar day or month by UTC.")],
    soft: Annotated[bool, typer.Option("--soft", help="Refuse nothing: only tell of 50, 80 and 100 %.")] = False,
    note: Annotated[str, typer.Option(help="Why; it is kept in the audit log.")] = "",
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Set a budget, in place of the one that there was for the same. What was spent in the running period counts."""
    screen = Screen(as_json=as_json)
    wanted = {"of": of, "owner": owner, "period": period, "limit_usd": _usd(usd), "hard": not soft, "note": note}

    async def send() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            made = await client.ask("POST", PATH, body=wanted)
        screen.record("budget", budget=made)
        screen.console.print(_table([made]))
        return ExitCode.ok

    run(screen, send())


@app.command()
def remove(
    budget_id: Annotated[str, typer.Argument(metavar="ID", help="The budget's id, from `diorama budgets list`.")],
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """End a budget: it refuses and counts nothing any more."""
    screen = Screen(as_json=as_json)

    async def send() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            await client.ask("DELETE", f"{PATH}/{budget_id}")
        screen.record("removed", id=budget_id)
        screen.say(f"{budget_id} is removed.")
        return ExitCode.ok

    run(screen, send())


async def _all(client: DioramaClient) -> AsyncGenerator[Json, None]:
    query = {"limit": "100"}
    while True:
        page = await client.ask("GET", PATH, query=query)
        for item in page["items"]:
            yield item
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def _usd(given: str) -> str:
    """The amount as it was typed: a float would change it."""
    try:
        return str(Decimal(given))
    except ArithmeticError:
        raise typer.BadParameter(f"'{given}' is no amount.", param_hint="--usd") from None


def _table(found: list[Json]) -> Table:
    table = Table(Column("id", no_wrap=True, min_width=36), "of", "per", "kind", box=None, header_style="dim")
    for title in ("limit (USD)", "held", "spent", "left", "whole again"):
        table.add_column(title, justify="right")
    for item in found:
        facts = [f"{item['of']} {item['owner']}".strip(), item["period"], "hard" if item["hard"] else "soft"]
        money = [str(item[name]) for name in ("limit_usd", "held_usd", "spent_usd", "left_usd")]
        table.add_row(item["id"], *facts, *money, item["resets_at"])
    return table
