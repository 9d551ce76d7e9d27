"""`diorama lanes list`, `pause`, `drain`, `resume`, `limit` and `events`."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Column, Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.listing import Where, show_items
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen

app = typer.Typer(add_completion=False, no_args_is_help=True)

PATH = "/v1/operations/lanes"
Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="Such as replicate.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="One of its models. Default: the provider as a whole.")]
Note = Annotated[str, typer.Option(help="Why; it is kept in the audit log.")]
PerMinute = Annotated[
    int | None, typer.Option("--per-minute", min=1, metavar="N", help="How many purchases may begin in a minute.")
]
AsConfigured = Annotated[bool, typer.Option("--as-configured", help="Take the operators' limit back.")]

DECISIONS = {
    "pause": "Buy nothing more; what waits for it goes elsewhere where it may, and waits where it may not.",
    "drain": "Plan nothing more for it; what is planned is still made.",
    "resume": "Use it again.",
}
DONE = {
    "paused": "is paused: nothing is bought from it. What it is making already is finished.",
    "draining": "is being drained: it makes what is planned, and nothing new is planned for it.",
    "active": "is active.",
}


@app.callback()
def all_of_them() -> None:
    """Pause, drain, resume and limit providers and models.

    It takes an operator's key. A decision holds over all workers within five seconds, and is kept in the audit log.
    """


@app.command("list")
def list_lanes(
    *, api_url: ApiUrl = None, api_key: ApiKey = None, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False
) -> None:
    """List what was decided; all other lanes are active, with their configured limits."""
    show_items(
        Screen(as_json=as_json),
        (api_url, api_key, stack_dir),
        PATH,
        kind="lane",
        table=_lanes,
        none_found="Nothing was decided about any lane.",
    )


def _decision(word: str) -> Callable[..., None]:
    """The command that changes a lane's mode by this word."""

    def decide(
        provider: Provider,
        model: Model = "",
        *,
        note: Note,
        api_url: ApiUrl = None,
        api_key: ApiKey = None,
        stack_dir: StackDir = STACK_DIR,
        as_json: AsJson = False,
    ) -> None:
        where = (api_url, api_key, stack_dir)
        _decide(Screen(as_json=as_json), where, "POST", (provider, model, word), {"note": note})

    return decide


for name, meaning in DECISIONS.items():
    app.command(name, help=meaning)(_decision(name))


@app.command()
def limit(
    provider: Provider,
    model: Model = "",
    *,
    note: Note,
    per_minute: PerMinute = None,
    as_configured: AsConfigured = False,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Change how many purchases a minute all workers together begin, while everything runs."""
    if (per_minute is None) is not as_configured:
        raise typer.BadParameter("give either --per-minute N or --as-configured", param_hint="--per-minute")
    body = {"creates_per_minute": per_minute, "note": note}
    _decide(Screen(as_json=as_json), (api_url, api_key, stack_dir), "PUT", (provider, model, "limit"), body)


@app.command()
def events(
    *,
    provider: Annotated[str | None, typer.Option(help="Only of this provider.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Show what happened to providers and models, newest first: breakers and decisions."""
    show_items(
        Screen(as_json=as_json),
        (api_url, api_key, stack_dir),
        "/v1/operations/provider-events",
        kind="provider_event",
        query={"limit": str(limit)} | ({"provider": provider} if provider else {}),
        table=_events,
        none_found="Nothing happened yet.",
    )


def _decide(screen: Screen, where: Where, method: str, lane: tuple[str, str, str], body: Json) -> None:
    path = "/".join([PATH, *(quote(part, safe="/") for part in lane if part)])

    async def send() -> ExitCode:
        async with connected(await find_connection(*where)) as client:
            decided = await client.ask(method, path, body=body)
        screen.record("lane", lane=decided)
        screen.say(f"{named(decided)} {outcome(decided, method)}")
        return ExitCode.ok

    run(screen, send())


def named(lane: Json) -> str:
    """`replicate`, or `replicate openai/gpt-image-2`."""
    return " ".join(part for part in (lane["provider"], lane["model"]) if part)


def outcome(lane: Json, method: str) -> str:
    """What a decision led to, in a sentence."""
    if method == "POST":
        return DONE[lane["mode"]]
    if lane["creates_per_minute"] is None:
        return "has no limit of the operators any more."
    return f"may begin {lane['creates_per_minute']} purchases a minute."


def _lanes(found: list[Json]) -> Table:
    table = Table(Column("lane", no_wrap=True), "mode", "limit", "since", "by", "note", box=None, header_style="dim")
    for lane in found:
        per_minute = lane["creates_per_minute"]
        limited = f"{per_minute}/min" if per_minute else ""
        who = lane["changed_by"] or ""
        table.add_row(named(lane), lane["mode"], limited, lane["changed_at"][:19], who, escape(lane["note"]))
    return table


def _events(found: list[Json]) -> Table:
    table = Table("at", "provider", "model", "event", "facts", box=None, header_style="dim")
    for event in found:
        facts = " ".join(f"{name} {value}" for name, value in event["data"].items() if value is not None)
        table.add_row(event["created_at"][:19], event["provider"], event["model"], event["type"], escape(facts))
    return table
