"""`diorama worker-versions`: list, promote, drained, move."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from temporalio.client import Client

from commands.engine_client import engine_client
from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from engine.replays import Replays
from engine.worker_versions import WorkerVersions
from worker import WORKFLOWS

app = typer.Typer(add_completion=False, no_args_is_help=True)

BuildId = Annotated[
    str, typer.Argument(metavar="BUILD_ID", help="A release, as its workers have it in their settings.")
]


@app.callback()
def all_of_them() -> None:
    """See, promote and drain releases of the worker.

    A release is what DIORAMA_WORKER_BUILD_ID names. New runs go to the one that was promoted last; a run stays with the release
    that began it. The engine is that of the settings in the environment or in .env, or of the running local stack.
    """


@app.command("list")
def list_versions(*, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False) -> None:
    """List the releases, newest first, with how many runs each still has."""
    screen = Screen(as_json=as_json)

    async def look() -> ExitCode:
        versions, _ = await _versions(stack_dir)
        found = await versions.all()
        table = Table("release", "status", "runs", box=None, header_style="dim")
        for version in found:
            screen.record("version", build_id=version.build_id, status=version.status, running=version.running)
            table.add_row(version.build_id, version.status, str(version.running))
        screen.console.print(
            table if found else "No worker has a version: DIORAMA_WORKER_BUILD_ID is not set anywhere."
        )
        return ExitCode.ok

    run(screen, look())


@app.command()
def promote(
    build_id: BuildId,
    *,
    wait_s: Annotated[float, typer.Option("--wait", min=1, help="Seconds until its workers must be there.")] = 30,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Give new runs to a release; also the way back to an older one, while its workers run."""
    screen = Screen(as_json=as_json)

    async def make_current() -> ExitCode:
        versions, _ = await _versions(stack_dir)
        await versions.promote(build_id, within_s=wait_s)
        screen.record("promoted", build_id=build_id)
        screen.say(f"New runs go to {build_id}.")
        return ExitCode.ok

    run(screen, make_current())


@app.command()
def drained(build_id: BuildId, *, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False) -> None:
    """Say whether the workers of a release can be stopped for good.

    Exit code 0: they can, no run needs them. Exit code 1: not yet. The engine looks every few minutes.
    """
    screen = Screen(as_json=as_json)

    async def look() -> ExitCode:
        versions, _ = await _versions(stack_dir)
        version = await versions.one(build_id)
        done = version.status in {"drained", "inactive"} and version.running == 0
        screen.record(
            "drained" if done else "needed", build_id=build_id, status=version.status, running=version.running
        )
        screen.say(f"{build_id} is {version.status}; {version.running} runs need it.")
        return ExitCode.ok if done else ExitCode.failed

    run(screen, look())


@app.command()
def move(
    build_id: Annotated[str, typer.Argument(metavar="FROM", help="The release whose workers are gone.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="The release that goes on; run this command from it.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which runs could be moved.")] = False,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Have another release go on with the runs of one.

    Each run's history is first replayed with the workflows of this very installation, so run it from the release that is to
    take over; a run whose history does not replay stays where it is. Exit code 1: some stay.
    """
    screen = Screen(as_json=as_json)

    async def hand_over() -> ExitCode:
        versions, client = await _versions(stack_dir)
        await versions.one(to)
        replays, stay = Replays(client, WORKFLOWS), 0
        async for found in versions.runs(build_id):
            why = await replays.trouble(found)
            if why is None and not dry_run:
                await versions.move(found, to)
            stay += why is not None
            screen.record("run", workflow=found.id, moved=why is None and not dry_run, why=why)
            screen.say(f"{found.id}: {why or ('could move' if dry_run else 'moved')}")
        return ExitCode.failed if stay else ExitCode.ok

    run(screen, hand_over())


async def _versions(stack_dir: Path) -> tuple[WorkerVersions, Client]:
    settings = await server_settings(stack_dir)
    client = await engine_client(settings)
    return WorkerVersions(client, settings.worker_deployment), client
