"""`diorama tenants create`, `list`, `change`, `suspend` and `resume`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table
from sqlmodel.ext.asyncio.session import AsyncSession

from commands.database import migrated_database
from commands.exit_codes import ExitCode
from commands.options import MOST_DAYS, MOST_PER_MINUTE, STACK_DIR, AsJson, StackDir, new_name, note_of_form
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from contracts.scopes import ALL_SCOPES
from contracts.tiers import PolicyLevel, Tier
from db import tenant_keys, tenants
from db.audit import COMMAND
from db.models import Tenant
from db.tenant_keys import NewKey
from db.tenants import TenantLimits

app = typer.Typer(add_completion=False, no_args_is_help=True)

PAGE = 500
MOST_GENERATIONS = 10_000_000
COLUMNS = ("NAME", "ID", "TIER", "POLICY", "REQUESTS/MIN", "IN FLIGHT", "PER DAY", "")


class OwnFigure(StrEnum):
    """A limit that a tenant may have of its own."""

    requests_per_minute = "requests_per_minute"
    in_flight = "in_flight"
    per_day = "per_day"
    keep_pictures_days = "keep_pictures_days"


Name = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's name.")]
NewName = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's name.", callback=new_name)]
Note = Annotated[
    str, typer.Option(help="Why; it is kept in the audit log, where the tenant reads it.", callback=note_of_form)
]
OfTier = Annotated[Tier | None, typer.Option("--tier", help="What was agreed with it.")]
Policy = Annotated[PolicyLevel | None, typer.Option("--policy", help="How careful its prompts are looked at.")]
PerMinute = Annotated[
    int | None, typer.Option("--requests-per-minute", min=1, max=MOST_PER_MINUTE, help="Over all of its keys.")
]
InFlight = Annotated[
    int | None,
    typer.Option("--in-flight", min=0, max=MOST_GENERATIONS, help="Generations accepted and not ended."),
]
PerDay = Annotated[
    int | None,
    typer.Option("--per-day", min=0, max=MOST_GENERATIONS, help="Generations accepted in a day, by UTC."),
]
KeepDays = Annotated[
    int | None, typer.Option("--keep-pictures-days", min=1, max=MOST_DAYS, help="How long its pictures are kept.")
]
AsTier = Annotated[
    list[OwnFigure] | None,
    typer.Option("--as-tier", help="Take a figure of its own back; may be given several times."),
]


@app.callback()
def all_of_them() -> None:
    """Make, change, suspend and resume tenants.

    They work on the database of the settings in the environment or in .env, or on that of the running local stack. Each
    decision is kept in the audit log.
    """


@app.command()
def create(
    name: NewName,
    *,
    tier: OfTier = None,
    policy: Policy = None,
    requests_per_minute: PerMinute = None,
    in_flight: InFlight = None,
    per_day: PerDay = None,
    keep_pictures_days: KeepDays = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a tenant, and an admin key with which it makes its others. The key is shown once."""
    screen = Screen(as_json=as_json)
    new = Tenant(
        name=name,
        tier=tier or Tier.standard,
        policy=policy or PolicyLevel.usual,
        requests_per_minute=requests_per_minute,
        in_flight=in_flight,
        per_day=per_day,
        keep_pictures_days=keep_pictures_days,
    )

    async def make() -> ExitCode:
        settings = await server_settings(stack_dir)
        pepper = settings.api_key_pepper.get_secret_value()
        async with migrated_database(settings) as database, database.transaction() as session:
            kept = await tenants.create(session, COMMAND, new)
            first = NewKey("first key", ALL_SCOPES)
            made = await tenant_keys.create(session, COMMAND, kept.id, first, pepper=pepper)
        screen.record("tenant", **kept.model_dump(mode="json"), api_key=made.key)
        screen.say(f"{escape(kept.name)} is tenant {kept.id}.\n{made.key}\nKeep it: it cannot be shown again.")
        return ExitCode.ok

    run(screen, make())


@app.command("list")
def list_tenants(*, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False) -> None:
    """List the tenants, newest first, with the limits that hold for them."""
    screen = Screen(as_json=as_json)

    async def show() -> ExitCode:
        settings = await server_settings(stack_dir)
        async with migrated_database(settings) as database, database.transaction() as session:
            found = await _all(session)
        _table(screen, *found)
        return ExitCode.ok

    run(screen, show())


@app.command()
def change(
    name: Name,
    *,
    renamed: Annotated[str | None, typer.Option("--name", help="Its new name.", callback=new_name)] = None,
    tier: OfTier = None,
    policy: Policy = None,
    requests_per_minute: PerMinute = None,
    in_flight: InFlight = None,
    per_day: PerDay = None,
    keep_pictures_days: KeepDays = None,
    as_tier: AsTier = None,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Change what is named; the rest stays. Limits hold within two seconds; what was accepted goes on."""
    screen = Screen(as_json=as_json)
    given = {
        "name": renamed,
        "tier": tier,
        "policy": policy,
        "requests_per_minute": requests_per_minute,
        "in_flight": in_flight,
        "per_day": per_day,
        "keep_pictures_days": keep_pictures_days,
    }
    changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    if both := [figure.value for figure in as_tier or () if figure in changes]:
        raise typer.BadParameter(f"{both[0]} cannot be set and taken back at once.", param_hint="--as-tier")
    run(screen, _change(screen, name, changes | dict.fromkeys(as_tier or ()), stack_dir))


async def _all(session: AsyncSession) -> list[Tenant]:
    found: list[Tenant] = []
    while True:
        page = await tenants.page(session, before=found[-1].id if found else None, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found


async def _change(screen: Screen, name: str, changes: dict[str, Any], stack_dir: Path) -> ExitCode:
    settings = await server_settings(stack_dir)
    async with migrated_database(settings) as database, database.transaction() as session:
        row = await tenants.by_name(session, name)
        row = await tenants.change(session, COMMAND, row.id, changes)
    _table(screen, row)
    return ExitCode.ok


@app.command()
def suspend(name: Name, *, note: Note, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False) -> None:
    """Refuse the tenant's keys, within two seconds; what was accepted before goes on."""
    screen = Screen(as_json=as_json)
    run(screen, _decide(screen, name, note, stack_dir, suspended=True))


@app.command()
def resume(name: Name, *, note: Note, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False) -> None:
    """Accept the tenant's keys again."""
    screen = Screen(as_json=as_json)
    run(screen, _decide(screen, name, note, stack_dir, suspended=False))


async def _decide(screen: Screen, name: str, note: str, stack_dir: Path, *, suspended: bool) -> ExitCode:
    settings = await server_settings(stack_dir)
    decide = tenants.suspend if suspended else tenants.resume
    async with migrated_database(settings) as database, database.transaction() as session:
        row = await tenants.by_name(session, name)
        row = await decide(session, COMMAND, row.id, note)
    _table(screen, row)
    return ExitCode.ok


def _table(screen: Screen, *rows: Tenant) -> None:
    table = Table(*(Column(name, no_wrap=True) for name in COLUMNS))
    for row in rows:
        screen.record("tenant", **row.model_dump(mode="json"))
        allowance = TenantLimits.of(row).allowance
        limits = (allowance.requests_per_minute, allowance.in_flight, allowance.per_day)
        words = ["no limit" if limit is None else str(limit) for limit in limits]
        table.add_row(
            escape(row.name), str(row.id), row.tier, row.policy, *words, "suspended" if row.suspended_at else ""
        )
    screen.console.print(table if rows else "There are none.")
