"""The services of the local stack as they start, and where they are then."""

import time
from dataclasses import dataclass

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from commands.screen import Screen
from deploy.addresses import StackAddresses
from deploy.options import SERVICES

SETTLED = {"ready": "green", "done": "green", "failed": "bold red", "stopped": "dim", "killed": "red"}


@dataclass
class _Line:
    """What is shown of one service."""

    state: str = "waiting"
    began: float = 0.0
    took_s: float = 0.0


class StackView:
    """Give `on_progress` to the stack; a context manager round its start. Later news comes as lines."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._lines = {name: _Line() for name in SERVICES}
        self._live: Live | None = None

    def __enter__(self) -> "StackView":
        if self._screen.is_live:
            self._live = Live(get_renderable=self._table, console=self._screen.console, refresh_per_second=12)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def on_progress(self, service: str, state: str) -> None:
        """A service has come to a new state."""
        line = self._lines[service]
        moment = time.monotonic()
        if state in {"starting", "stopping"}:
            line.began = moment
        line.state, line.took_s = state, moment - line.began
        self._screen.record("service", service=service, state=state)
        if self._live is None and state in {"ready", "done", "failed", "killed"}:
            took = f" ({line.took_s:.1f} s)" if state in {"ready", "done"} else ""
            self._screen.say(f"  {service:<11} {state}{took}")

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, line in self._lines.items():
            style = SETTLED.get(line.state)
            busy = line.state in {"starting", "stopping"}
            mark = Spinner("dots") if busy else Text("●" if style else "○", style=style or "dim")
            seconds = f"{line.took_s:.1f} s" if style and line.took_s else ""
            table.add_row(mark, name, Text(line.state, style=style or ""), Text(seconds, style="dim"))
        return table


def links(addresses: StackAddresses) -> dict[str, str]:
    """What people want to open, by name."""
    return {
        "api": addresses.api_url,
        "docs": addresses.docs_url,
        "temporal_ui": addresses.temporal_ui_url,
        "store": addresses.store_url,
        "sandbox": f"{addresses.sandbox_url}/admin/summary",
    }


def show_links(screen: Screen, addresses: StackAddresses, api_key: str) -> None:
    """A table of where everything is, with the key that opens the API."""
    table = Table.grid(padding=(0, 2))
    titles = {
        "api": "API",
        "docs": "API docs",
        "temporal_ui": "Temporal Web UI",
        "store": "Store (S3)",
        "sandbox": "Sandbox's bills",
    }
    for name, url in links(addresses).items():
        table.add_row(Text(titles[name], style="bold"), Text(url, style=f"link {url}"))
    table.add_row(Text("API key", style="bold"), api_key)
    screen.console.print()
    screen.console.print(table)
    screen.console.print()
    screen.record("ready", links=links(addresses), api_key=api_key)
