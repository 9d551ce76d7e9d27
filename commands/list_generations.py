"""`diorama list`."""

from typing import Annotated, Literal

import typer
from rich.table import Column, Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False)

Status = Literal["queued", "running", "succeeded", "failed", "canceled", "needs_review"]
Kind = Literal["avatar", "scene", "avatar_scene", "image", "enhance"]


@app.command("list")
def list_generations(
    *,
    status: Annotated[Status | None, typer.Option(help="Only those that stand so.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only those of this kind.")] = None,
    session: Annotated[str | None, typer.Option(help="Only those of this session.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """List generations, newest first."""
    screen = Screen(as_json=as_json)
    given = {"status": status, "kind": kind, "session": session, "tag": tag}
    filters = {name: str(value) for name, value in given.items() if value is not None}

    async def show() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            found = [item async for item in client.generations(filters, limit)]
        for item in found:
            screen.record("generation", generation=item)
        screen.console.print(_table(found) if found else "There are none.")
        return ExitCode.ok

    run(screen, show())


def _table(found: list[Json]) -> Table:
    table = Table(Column("id", no_wrap=True, min_width=36), box=None, header_style="dim")
    for title in ("kind", "status", "cost (USD)", "created", "stage"):
        table.add_column(title)
    for item in found:
        created = item["created_at"][:19].replace("T", " ")
        cost = "" if item["cost_usd"] is None else str(item["cost_usd"])
        table.add_row(item["id"], item["kind"], item["status"], cost, created, item["stage"])
    return table
