"""`diorama up`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from commands.connection import stack_key
from commands.exit_codes import ExitCode
from commands.local_stack import running_stack, started_stack
from commands.options import STACK_DIR, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.stack_view import show_links
from deploy.failures import ServiceFailed
from deploy.options import StackOptions
from deploy.provider_variables import PROVIDERS
from deploy.stack_lock import lock_holder

app = typer.Typer(add_completion=False)


@app.command()
def up(
    *,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The API's port. Default: a free one.")] = None,
    real_providers: Annotated[
        bool,
        typer.Option(
            "--real-providers",
            help="Buy from the providers whose keys are in the environment "
            f"({', '.join(provider.key for provider in PROVIDERS.values())}). Costs money.",
        ),
    ] = False,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Start the local stack, and run it until Ctrl-C.

    PostgreSQL, Temporal with its Web UI, an S3 store, sandbox providers, the API and the worker, with their data in the
    stack's folder. When a stack runs there already, says where it is and leaves. Ctrl-C stops everything and is the normal
    end (exit code 0).
    """
    screen = Screen(as_json=as_json)
    options = StackOptions(real_providers=real_providers, ports={"api": port} if port else {})
    run(screen, _up(screen, stack_dir, options))


async def _up(screen: Screen, stack_dir: Path, options: StackOptions) -> ExitCode:
    addresses = await running_stack(stack_dir)
    if addresses is not None:
        screen.say(f"The stack in {stack_dir} already runs (process {lock_holder(stack_dir)}).")
        show_links(screen, addresses, stack_key(stack_dir))
        return ExitCode.ok
    async with started_stack(screen, stack_dir, options) as stack:
        show_links(screen, stack.addresses(), stack_key(stack_dir))
        screen.say("Ctrl-C stops everything; the data stays.")
        try:
            failure = await stack.wait_failed()
        except asyncio.CancelledError:
            return ExitCode.ok
        raise ServiceFailed(failure)
