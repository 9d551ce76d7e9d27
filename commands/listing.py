"""Lists that the API gives at once: asked for, recorded for machines one by one, and shown as a table."""

from collections.abc import Callable, Mapping
from pathlib import Path

from rich.table import Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.running import run
from commands.screen import Screen

# What `find_connection` takes: address, key, folder of the local stack.
Where = tuple[str | None, str | None, Path]


def show_items(
    screen: Screen,
    where: Where,
    path: str,
    *,
    kind: str,
    table: Callable[[list[Json]], Table],
    none_found: str,
    query: Mapping[str, str] | None = None,
    is_wanted: Callable[[Json], bool] = lambda _: True,
) -> None:
    """Show the `items` at `path` that are wanted; `none_found` is said where there are none. Ends the command."""

    async def show() -> ExitCode:
        async with connected(await find_connection(*where)) as client:
            found = (await client.ask("GET", path, query=query))["items"]
        shown = [item for item in found if is_wanted(item)]
        for item in shown:
            screen.record(kind, **{kind: item})
        screen.console.print(table(shown) if shown else none_found)
        return ExitCode.ok

    run(screen, show())
