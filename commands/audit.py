"""`diorama audit`, `diorama audit export` and `diorama audit check`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from commands import saving
from commands.database import migrated_database
from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from commands.troubles import CommandUnusable
from contracts import audit_chain
from db import audit, audit_export, tenants
from db.audit import COMMAND, Filter
from db.columns import now
from db.protection_models import AuditEntry

app = typer.Typer(add_completion=False)

PAGE = 500
TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
COLUMNS = ("WHEN (UTC)", "WHO", "FROM", "WHAT", "ABOUT", "WHY")


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    *,
    tenant: Annotated[str | None, typer.Option(help="Only what concerns the tenant of this name.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what they decided: `key:<id>`, `command`, `service`.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this, such as key.revoked.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only about these: key, tenant, budget, ...")] = None,
    subject_id: Annotated[str | None, typer.Option(help="Only about this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Show who decided what about tenants, keys and money, newest first.

    It reads the database of the settings in the environment or in .env, or that of the running local stack.
    """
    if context.invoked_subcommand is not None:
        return
    screen = Screen(as_json=as_json)

    async def read() -> ExitCode:
        settings = await server_settings(stack_dir)
        found: list[AuditEntry] = []
        async with migrated_database(settings) as database, database.transaction() as session:
            tenant_id = None if tenant is None else (await tenants.by_name(session, tenant)).id
            while len(found) < limit:
                before = found[-1].id if found else None
                wanted = Filter(tenant_id, actor, action, subject, subject_id, before=before)
                page = await audit.page(session, wanted, limit=min(PAGE, limit - len(found)))
                found += page
                if not page:
                    break
        _show(screen, found)
        return ExitCode.ok

    run(screen, read())


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the lines go; it must not be there yet.")],
    *,
    since: Annotated[datetime | None, typer.Option("--from", formats=TIMES, help="UTC; none: from the first.")] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=TIMES, help="UTC, exclusive; none: up to now.")
    ] = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Write the log to a file, oldest first, chained by hashes: the same time exported again ends with the same hash.

    Keep the hash somewhere else. An end that lies a minute back is sure to have all of its entries. That the log was exported
    is written into it.
    """
    screen = Screen(as_json=as_json)

    async def write() -> ExitCode:
        if file.exists():
            raise CommandUnusable(f"The file {file} is there already.")
        settings = await server_settings(stack_dir)
        end = until.replace(tzinfo=UTC) if until else now()
        begin = since.replace(tzinfo=UTC) if since else None
        if begin is not None and begin >= end:
            raise CommandUnusable("--from must come before --to.")
        async with migrated_database(settings) as database:
            async with database.transaction() as session:
                facts: dict[str, Any] = {"created_after": begin, "created_before": end}
                await audit.record(session, COMMAND, "audit.exported", "service", **facts)
            found = [line async for line in audit_export.lines(database, since=begin, until=end)]
        saving.write(file, "".join(f"{line}\n" for line in found).encode())
        whole = audit_chain.checked(found)
        screen.record("exported", file=str(file), entries=whole.entries, hash=whole.hash)
        screen.say(f"{whole.entries} entries are in {file}. Keep this hash: {whole.hash}")
        return ExitCode.ok

    run(screen, write())


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="An export.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say whether an exported file is as it was written. Exit code 1: it is not."""
    screen = Screen(as_json=as_json)

    async def reckon() -> ExitCode:
        whole = audit_chain.checked(file.read_text("utf-8", "replace").splitlines())
        screen.record("whole", file=str(file), entries=whole.entries, hash=whole.hash)
        screen.say(f"{file} is whole: {whole.entries} entries, and the hash {whole.hash}")
        return ExitCode.ok

    run(screen, reckon())


def _show(screen: Screen, found: Sequence[AuditEntry]) -> None:
    table = Table(*(Column(name, no_wrap=name != "WHY") for name in COLUMNS))
    for entry in found:
        screen.record("decision", **entry.model_dump(mode="json"))
        about = f"{entry.subject} {entry.subject_id}".strip()
        cells = (entry.actor, entry.address or "", entry.action, about, entry.note)
        table.add_row(f"{entry.created_at:%Y-%m-%d %H:%M:%S}", *(escape(cell) for cell in cells))
    screen.console.print(table if found else "Nothing was decided.")
