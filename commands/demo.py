"""`diorama demo`."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from commands.connection import Connection, stack_key
from commands.exit_codes import ExitCode
from commands.http_client import Json, connected
from commands.local_stack import UsableStack, usable_stack
from commands.options import STACK_DIR, AsJson, OutDir, StackDir
from commands.running import run
from commands.screen import Screen
from commands.stack_view import show_links
from commands.watching import conclude, watch_to_end
from deploy.failures import ServiceFailed

app = typer.Typer(add_completion=False)

DESCRIPTION = "a young explorer with short red hair, round glasses and a green scarf"


@app.command()
def demo(
    *,
    description: Annotated[str, typer.Option(help="Who the avatar is, and what they wear.")] = DESCRIPTION,
    theme: Annotated[str, typer.Option(help="The place; `diorama themes` lists them.")] = "aurora-night",
    out: OutDir = Path("out"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack up afterwards, until Ctrl-C.")] = False,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Make an avatar and a scene with it, from nothing but this command.

    Starts the local stack if none runs, asks its API for an avatar and a 1920x1080 scene, shows the progress of both, and
    saves avatar.png, scene.png and generation.json. The pictures are painted by the sandbox and cost nothing.
    """
    screen = Screen(as_json=as_json)
    request = {
        "kind": "avatar_scene",
        "avatar": {"description": description},
        "scene": {"theme": theme},
        "session_id": "demo",
        "tags": ["demo"],
    }
    run(screen, _demo(screen, request, stack_dir, out, keep=keep))


async def _demo(screen: Screen, request: Json, stack_dir: Path, out: Path, *, keep: bool) -> ExitCode:
    began = time.monotonic()
    async with usable_stack(screen, stack_dir) as stack:
        api_key = stack_key(stack_dir)
        show_links(screen, stack.addresses, api_key)
        code = await stack.during(_make(screen, Connection(stack.addresses.api_url, api_key), request, out))
        screen.say(f"All in all {time.monotonic() - began:.1f} s.")
        if keep and stack.own is not None:
            await _stay(screen, stack)
    return code


async def _make(screen: Screen, connection: Connection, request: Json, out: Path) -> ExitCode:
    async with connected(connection) as client:
        accepted = await client.submit(request)
        screen.record("accepted", generation=accepted)
        screen.say(f"Generation {accepted['id']}, at most {accepted['quote']['max_usd']} USD of play money")
        try:
            ended = await watch_to_end(screen, client, accepted["id"], request["kind"])
        except asyncio.CancelledError:
            screen.say(f"The generation goes on with the stack: diorama watch {accepted['id']}")
            raise
        return await conclude(screen, client, ended, out)


async def _stay(screen: Screen, stack: UsableStack) -> None:
    screen.say("The stack stays up; Ctrl-C stops it.")
    try:
        failure = await stack.own.wait_failed() if stack.own else None
    except asyncio.CancelledError:
        return  # the normal end: what was asked for has been done before
    if failure is not None:
        raise ServiceFailed(failure)
