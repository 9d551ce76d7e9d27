"""`diorama reviews`: decide about purchases whose outcome nobody knows."""

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import DioramaClient, Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False, no_args_is_help=True)

PATH = "/v1/operations/reviews"
Purchase = Annotated[str, typer.Argument(metavar="ID", help="The purchase's id, from `diorama reviews list`.")]
Note = Annotated[str, typer.Option(help="Why; it is kept in the audit log, where the tenant reads it.")]
Cost = Annotated[
    str | None, typer.Option(metavar="USD", help="What the purchase is to count with. Default: the catalog's price.")
]


@app.callback()
def all_of_them() -> None:
    """Decide about purchases whose outcome nobody knows.

    It takes an operator's key. Every decision is kept in the audit log, with the key that made it.
    """


@app.command("list")
def list_reviews(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """List what waits for a decision, the oldest purchase first."""
    screen = Screen(as_json=as_json)

    async def show() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            found = [item async for item in _waiting(client, limit)]
        for item in found:
            screen.record("review", review=item)
        screen.console.print(_table(found) if found else "Nothing waits for a decision.")
        return ExitCode.ok

    run(screen, show())


@app.command()
def adopt(
    spend_id: Purchase,
    *,
    job: Annotated[str, typer.Option(metavar="JOB", help="The job's id at the provider.")],
    note: Note,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Take a job of the provider for the purchase's own; the provider is asked about it before anything counts."""
    decision = {"action": "adopt", "job_id": job, "note": note}
    _decide(Screen(as_json=as_json), (api_url, api_key, stack_dir), spend_id, decision)


@app.command()
def accept_lost(
    spend_id: Purchase,
    *,
    note: Note,
    cost: Cost = None,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Give the purchase up: the generation fails, and its other pictures are taken back."""
    decision = {"action": "accept_lost", "note": note, "cost_usd": _usd(cost)}
    _decide(Screen(as_json=as_json), (api_url, api_key, stack_dir), spend_id, decision)


@app.command()
def resubmit(
    spend_id: Purchase,
    *,
    note: Note,
    cost: Cost = None,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Buy the picture once more, knowing that the provider may charge for both."""
    decision = {"action": "resubmit", "note": note, "cost_usd": _usd(cost)}
    _decide(Screen(as_json=as_json), (api_url, api_key, stack_dir), spend_id, decision)


def _decide(screen: Screen, where: tuple[Any, Any, Any], spend_id: str, decision: Json) -> None:
    async def send() -> ExitCode:
        async with connected(await find_connection(*where)) as client:
            body = {name: value for name, value in decision.items() if value is not None}
            decided = await client.ask("POST", f"{PATH}/{spend_id}", body=body)
        screen.record("decided", decision=decided)
        screen.say(_outcome(decided))
        return ExitCode.ok

    run(screen, send())


def _outcome(decided: Json) -> str:
    if decided["undecided"]:
        return f"Done. {decided['undecided']} more of this generation wait: see `diorama reviews list`."
    return f"Done. The generation goes on: diorama watch {decided['generation_id']}"


def _usd(given: str | None) -> str | None:
    """The amount as it was typed: a float would change it."""
    if given is None:
        return None
    try:
        amount = Decimal(given)
    except ArithmeticError:
        raise typer.BadParameter(f"'{given}' is no amount.", param_hint="--cost") from None
    return str(amount)


async def _waiting(client: DioramaClient, limit: int) -> AsyncGenerator[Json, None]:
    query = {"limit": str(min(limit, 100))}
    while limit > 0:
        page = await client.ask("GET", PATH, query=query)
        for item in page["items"][:limit]:
            yield item
        limit -= len(page["items"])
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def _table(found: list[Json]) -> Table:
    table = Table(Column("purchase", no_wrap=True, min_width=36), box=None, header_style="dim")
    for title in ("generation", "step", "provider", "held (USD)", "age", "jobs named", "may be"):
        table.add_column(title, no_wrap=title == "generation")
    for item in found:
        age = f"{item['age_s'] // 60} min"
        facts = [item["generation_id"], item["step"], item["provider"], str(item["hold_usd"]), age]
        table.add_row(item["spend_id"], *facts, " ".join(item["job_ids"]), ", ".join(item["actions"]))
    return table
