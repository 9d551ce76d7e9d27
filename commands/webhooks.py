"""`diorama webhooks add`, `list`, `rotate`, `enable`, `disable`, `delete`, `deliveries` and `replay`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Column, Table

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.webhook_calls import WebhookCalls

app = typer.Typer(add_completion=False, no_args_is_help=True)

EndpointId = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id.")]
DeliveryId = Annotated[
    str, typer.Argument(metavar="DELIVERY", help="The delivery's id: the webhook-id of its message.")
]
State = Literal["pending", "delivered", "failed"]
ONCE = "Keep the secret: it is not shown again."


Work = Callable[[WebhookCalls], Awaitable[None]]


@app.callback()
def webhooks() -> None:
    """Tell your own servers how generations end: endpoints, secrets, deliveries."""


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="https, on a public host.")],
    *,
    event: Annotated[
        list[str] | None,
        typer.Option(help="Such as generation.succeeded; may be repeated. Default: all of generations."),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for; people see it.")] = "",
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Add an endpoint. Its secret is shown once."""
    screen = Screen(as_json=as_json)

    async def work(calls: WebhookCalls) -> None:
        _show_secret(screen, await calls.add(url, description=description, events=event or ()))

    _do(screen, work, api_url, api_key, stack_dir)


@app.command("list")
def list_endpoints(
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """List the endpoints, oldest first."""
    screen = Screen(as_json=as_json)

    async def work(calls: WebhookCalls) -> None:
        found = await calls.endpoints()
        for endpoint in found:
            screen.record("endpoint", endpoint=endpoint)
        screen.console.print(_endpoints(found) if found else "There are none.")

    _do(screen, work, api_url, api_key, stack_dir)


@app.command()
def rotate(
    endpoint_id: EndpointId,
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Replace an endpoint's secret. For 24 hours messages are signed with both."""
    screen = Screen(as_json=as_json)

    async def work(calls: WebhookCalls) -> None:
        _show_secret(screen, await calls.rotate(endpoint_id))

    _do(screen, work, api_url, api_key, stack_dir)


@app.command()
def enable(
    endpoint_id: EndpointId,
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Send to an endpoint again."""
    screen = Screen(as_json=as_json)
    _do(screen, _switching(screen, endpoint_id, enabled=True), api_url, api_key, stack_dir)


@app.command()
def disable(
    endpoint_id: EndpointId,
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Send nothing to an endpoint until it is enabled again; what is on its way fails."""
    screen = Screen(as_json=as_json)
    _do(screen, _switching(screen, endpoint_id, enabled=False), api_url, api_key, stack_dir)


@app.command()
def delete(
    endpoint_id: EndpointId,
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Delete an endpoint; what is on its way there fails."""
    screen = Screen(as_json=as_json)

    async def work(calls: WebhookCalls) -> None:
        await calls.delete(endpoint_id)
        screen.record("deleted", id=endpoint_id)
        screen.say(f"{endpoint_id} is deleted.")

    _do(screen, work, api_url, api_key, stack_dir)


@app.command()
def deliveries(
    endpoint_id: EndpointId,
    *,
    state: Annotated[State | None, typer.Option(help="Only those that stand so.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """List what was sent, or is to be sent, to an endpoint, newest first."""
    screen = Screen(as_json=as_json)

    async def work(calls: WebhookCalls) -> None:
        found = await calls.deliveries(endpoint_id, state=state, limit=limit)
        for delivery in found:
            screen.record("delivery", delivery=delivery)
        screen.console.print(_deliveries(found) if found else "There are none.")

    _do(screen, work, api_url, api_key, stack_dir)


@app.command()
def replay(
    delivery_id: DeliveryId,
    *,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Send a webhook once more, under the same webhook-id. Harmless while it is still on its way."""
    screen = Screen(as_json=as_json)

    async def work(calls: WebhookCalls) -> None:
        delivery = await calls.replay(delivery_id)
        screen.record("delivery", delivery=delivery)
        screen.say(f"{delivery_id} is on its way (run {delivery['run']}).")

    _do(screen, work, api_url, api_key, stack_dir)


def _do(screen: Screen, work: Work, api_url: str | None, api_key: str | None, stack_dir: Path) -> None:
    async def connect_and_work() -> ExitCode:
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            await work(WebhookCalls(client))
        return ExitCode.ok

    run(screen, connect_and_work())


def _switching(screen: Screen, endpoint_id: str, *, enabled: bool) -> Work:
    async def work(calls: WebhookCalls) -> None:
        screen.record("endpoint", endpoint=await calls.switch(endpoint_id, enabled=enabled))
        screen.say(f"{endpoint_id} is {'enabled' if enabled else 'disabled'}.")

    return work


def _show_secret(screen: Screen, endpoint: Json) -> None:
    screen.record("endpoint", endpoint=endpoint)
    screen.console.print(f"{endpoint['id']}  {endpoint['url']}\n{endpoint['secret']}\n{ONCE}", markup=False)


def _endpoints(found: list[Json]) -> Table:
    table = Table(Column("id", no_wrap=True, min_width=36), box=None, header_style="dim")
    for title in ("url", "events", "state", "description"):
        table.add_column(title)
    for one in found:
        state = "enabled" if one["enabled"] else f"disabled: {one['disabled_reason']}"
        table.add_row(one["id"], one["url"], ", ".join(one["events"]) or "all", state, one["description"])
    return table


def _deliveries(found: list[Json]) -> Table:
    table = Table(Column("id", no_wrap=True, min_width=36), box=None, header_style="dim")
    for title in ("event", "state", "attempts", "answer", "next or ended", "of"):
        table.add_column(title)
    for one in found:
        moment = (one["next_attempt_at"] or one["ended_at"] or "")[:19].replace("T", " ")
        answer = one["last_error"] or ("" if one["last_status"] is None else str(one["last_status"]))
        attempts = str(one["attempts"])
        of = one["generation_id"] or "a budget"
        table.add_row(one["id"], one["event_type"], one["state"], attempts, answer, moment, of)
    return table
