"""`diorama keys create`, `list`, `rotate` and `revoke`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table
from sqlmodel.ext.asyncio.session import AsyncSession

from commands.database import migrated_database
from commands.exit_codes import ExitCode
from commands.options import MOST_DAYS, MOST_PER_MINUTE, STACK_DIR, AsJson, StackDir, new_name
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from contracts.scopes import ALL_SCOPES, KeyScope
from db import tenant_keys, tenants
from db.audit import COMMAND
from db.columns import now
from db.models import ApiKey, Tenant
from db.tenant_keys import MadeKey, NewKey
from errors import NotFound

app = typer.Typer(add_completion=False, no_args_is_help=True)

KeyId = Annotated[
    str, typer.Argument(metavar="ID", help="The 12 characters behind `dio_`, or the whole key.", show_default=False)
]


@app.callback()
def all_of_them() -> None:
    """Make, list, rotate and revoke API keys.

    They work on the database of the settings in the environment or in .env, or on that of the running local stack.
    """


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for; people see it.", callback=new_name)],
    *,
    tenant: Annotated[
        str, typer.Option(help="Whose it is; made when there is none of this name.", callback=new_name)
    ] = "local",
    scope: Annotated[
        list[KeyScope] | None, typer.Option(help="What it may do; may be given several times. Default: all.")
    ] = None,
    days: Annotated[
        float | None,
        typer.Option("--expires-in-days", min=0.001, max=MOST_DAYS, help="How long it is accepted. Default: always."),
    ] = None,
    per_minute: Annotated[
        int | None,
        typer.Option(
            "--requests-per-minute", min=1, max=MOST_PER_MINUTE, help="A limit of its own, beside its tenant's."
        ),
    ] = None,
    operator: Annotated[
        bool, typer.Option("--operator", help="Let it decide for the service, over all tenants.")
    ] = False,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown once: only its hash is kept."""
    screen = Screen(as_json=as_json)
    wanted = NewKey(
        name=name,
        scopes=tuple(one for one in KeyScope if one in (scope or ALL_SCOPES)),
        expires_at=None if days is None else now() + timedelta(days=days),
        requests_per_minute=per_minute,
        operator=operator,
    )

    async def make() -> ExitCode:
        settings = await server_settings(stack_dir)
        pepper = settings.api_key_pepper.get_secret_value()
        async with migrated_database(settings) as database, database.transaction() as session:
            whose = await _tenant(session, tenant)
            made = await tenant_keys.create(session, COMMAND, whose.id, wanted, pepper=pepper)
        _show(screen, made, tenant)
        return ExitCode.ok

    run(screen, make())


@app.command("list")
def list_keys(
    *,
    tenant: Annotated[str, typer.Option(help="Whose keys.")] = "local",
    ended: Annotated[bool, typer.Option("--ended", help="Also those that expired or were revoked.")] = False,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """List a tenant's keys, newest first; never what opens anything."""
    screen = Screen(as_json=as_json)

    async def show() -> ExitCode:
        settings = await server_settings(stack_dir)
        async with migrated_database(settings) as database, database.transaction() as session:
            whose = await tenants.by_name(session, tenant)
            found = await tenant_keys.listed(session, whose.id, ended=ended)
        table = Table(*(Column(name, no_wrap=True) for name in ("ID", "NAME", "SCOPES", "LAST USED", "EXPIRES", "")))
        for row in found:
            screen.record("key", **row.model_dump(mode="json", exclude={"digest"}))
            table.add_row(*_cells(row))
        screen.console.print(table if found else "There are none.")
        return ExitCode.ok

    run(screen, show())


@app.command()
def rotate(
    key_id: KeyId,
    *,
    hours: Annotated[
        float, typer.Option("--grace-hours", min=0, max=720, help="How long the old key is still accepted.")
    ] = 24,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a key with the same rights in the place of one, also of an operator's; its budgets go on counting.

    One that was rotated already is rotated once more as long as nobody has used the key in its place.
    """
    screen = Screen(as_json=as_json)

    async def replace() -> ExitCode:
        settings = await server_settings(stack_dir)
        pepper, grace = settings.api_key_pepper.get_secret_value(), timedelta(hours=hours)
        async with migrated_database(settings) as database, database.transaction() as session:
            old = await _found(session, key_id)
            whose = await tenants.found(session, old.tenant_id)
            made = await tenant_keys.rotate(session, COMMAND, old, pepper=pepper, grace=grace)
        _show(screen, made, whose.name)
        return ExitCode.ok

    run(screen, replace())


@app.command()
def revoke(key_id: KeyId, *, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False) -> None:
    """Stop accepting an API key; it takes two seconds to be known everywhere."""
    screen = Screen(as_json=as_json)
    run(screen, _revoke(screen, key_id, stack_dir))


async def _revoke(screen: Screen, key_id: str, stack_dir: Path) -> ExitCode:
    settings = await server_settings(stack_dir)
    async with migrated_database(settings) as database, database.transaction() as session:
        row = await _found(session, key_id)
        await tenant_keys.revoke(session, COMMAND, row)
    screen.record("revoked", id=row.id)
    screen.say(f"{row.id} is revoked.")
    return ExitCode.ok


async def _tenant(session: AsyncSession, name: str) -> Tenant:
    try:
        return await tenants.by_name(session, name)
    except NotFound:
        return await tenants.create(session, COMMAND, Tenant(name=name))


async def _found(session: AsyncSession, key_id: str) -> ApiKey:
    short = key_id.removeprefix("dio_").partition("_")[0]
    try:
        return await tenant_keys.found(session, short, tenant_id=None, lock=True)
    except NotFound:
        raise NotFound(f"There is no key {short}.") from None


def _show(screen: Screen, made: MadeKey, tenant: str) -> None:
    row = made.row
    facts = {"id": row.id, "name": row.name, "tenant": tenant, "operator": row.operator, "scopes": row.scopes}
    screen.record("key", **facts, expires_at=row.expires_at, api_key=made.key)
    screen.say(f"{made.key}\nKeep it: it cannot be shown again. To take it back: diorama keys revoke {row.id}")


def _cells(row: ApiKey) -> tuple[str, ...]:
    used, ends = (moment and f"{moment:%Y-%m-%d %H:%M}" for moment in (row.last_used_at, row.expires_at))
    state = "revoked" if row.revoked_at else "" if tenant_keys.is_valid(row, now()) else "expired"
    if row.replaced_by:
        state = f"{state} replaced by {row.replaced_by}".strip()
    scopes = ["operator"] if row.operator else row.scopes
    return row.id, escape(row.name), ", ".join(scopes), used or "never", ends or "never", state
