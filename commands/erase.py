"""`diorama erase`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from commands.connection import find_connection
from commands.exit_codes import ExitCode
from commands.http_client import DioramaClient, Json, connected
from commands.options import STACK_DIR, ApiKey, ApiUrl, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from commands.troubles import CommandUnusable
from contracts.erasures import Receipt
from contracts.receipts import Receipts

app = typer.Typer(add_completion=False)

LOOK_EVERY_S = 1.0


@app.command()
def erase(
    *,
    session: Annotated[str | None, typer.Option(help="Forget the session with this id.")] = None,
    user: Annotated[str | None, typer.Option(help="Forget the user with this id.")] = None,
    check: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Say whether this service wrote the receipt in a file."),
    ] = None,
    receipt: Annotated[Path | None, typer.Option(help="Where the receipt goes; it must not be there yet.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: it cannot be undone.")] = False,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Forget a session or a user for ever: all pictures and words, with a signed receipt.

    It waits until nothing is left; the erasure goes on without it. With --check: exit code 1 when the receipt is not ours.
    """
    screen = Screen(as_json=as_json)

    async def forget() -> ExitCode:
        if sum(given is not None for given in (session, user, check)) != 1:
            raise CommandUnusable("Give one of --session, --user and --check.")
        if check is not None:
            return await _checked(screen, check, stack_dir)
        if receipt is not None and receipt.exists():
            raise CommandUnusable(f"The file {receipt} is there already.")
        if not yes and not typer.confirm("All pictures and words will be gone for ever. Go on?", err=True):
            return ExitCode.usage
        body = {"session_id": session} if session is not None else {"user_id": user}
        async with connected(await find_connection(api_url, api_key, stack_dir)) as client:
            written = await _to_its_end(client, screen, await client.ask("POST", "/v1/erasures", body=body))
        if receipt is not None:
            receipt.write_text(json.dumps(written, indent=2) + "\n", "utf-8")
        counted = f"{written['generations']} generations and {written['objects_removed']} files"
        screen.say(f"Forgotten: {counted}. Nothing is left.")
        return ExitCode.ok

    run(screen, forget())


async def _to_its_end(client: DioramaClient, screen: Screen, erasure: Json) -> Json:
    """The receipt, as soon as there is one."""
    screen.record("erasing", erasure=erasure)
    screen.say(f"It is hidden. What is left is being removed: erasure {erasure['id']}.")
    while erasure["receipt"] is None:
        await asyncio.sleep(LOOK_EVERY_S)
        erasure = await client.ask("GET", erasure["links"]["self"])
    screen.record("erased", erasure=erasure)
    written: Json = erasure["receipt"]
    return written


async def _checked(screen: Screen, file: Path, stack_dir: Path) -> ExitCode:
    settings = await server_settings(stack_dir)
    given = _receipt_in(file)
    ours = Receipts(settings.token_secret.get_secret_value()).wrote(given)
    screen.record("checked", file=str(file), ours=ours)
    screen.say("This service wrote it, and nothing was changed." if ours else "It is not as this service wrote it.")
    return ExitCode.ok if ours else ExitCode.failed


def _receipt_in(file: Path) -> Receipt:
    try:
        return Receipt.model_validate_json(file.read_bytes())
    except ValidationError:
        raise CommandUnusable(f"The file {file} holds no receipt.") from None
