"""`diorama generate avatar | scene | avatar-scene | image | enhance`."""

from pathlib import Path
from typing import Annotated

import typer

from commands.connection import Connection, find_connection
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.own_pictures import with_uploads
from commands.request_options import describes_a_request
from commands.running import run
from commands.screen import Screen
from commands.watching import conclude, watch_to_end

app = typer.Typer(add_completion=False)


@app.command()
@describes_a_request
def generate(
    body: Json,
    *,
    quote: Annotated[
        str | None, typer.Option(help="The id of a quote for this very request, from `diorama quote`.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key with the same request buys nothing twice. Default: a new key.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end, or only start it.")] = True,
    out: Annotated[Path | None, typer.Option(help="Where the pictures are saved. Default: out/ID.")] = None,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Ask for pictures: avatar, scene, avatar-scene, image or enhance.

    What is left out gets the server's default. The generation lives on the server: Ctrl-C stops the watching, not the work.
    """
    screen = Screen(as_json=as_json)

    async def ask() -> ExitCode:
        connection = await find_connection(api_url, api_key, stack_dir)
        quoted = body | ({"quote_id": quote} if quote else {})
        return await _generate(screen, connection, quoted, idempotency_key, wait=wait, out=out)

    run(screen, ask())


async def _generate(
    screen: Screen, connection: Connection, body: Json, key: str | None, *, wait: bool, out: Path | None
) -> ExitCode:
    async with connected(connection) as client:
        accepted = await client.submit(await with_uploads(client, body), idempotency_key=key)
        screen.record("accepted", generation=accepted)
        screen.say(f"Generation {accepted['id']}, at most {accepted['quote']['max_usd']} USD")
        for warning in accepted.get("warnings", ()):  # an API of an earlier release has none
            screen.say(f"[yellow]{warning['detail']}[/yellow]")
        if not wait:
            screen.say(f"Follow it with: diorama watch {accepted['id']}")
            return ExitCode.ok
        ended = await watch_to_end(screen, client, accepted["id"], accepted["kind"])
        return await conclude(screen, client, ended, out or Path("out") / accepted["id"])
