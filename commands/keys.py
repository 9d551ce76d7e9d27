"""`diorama keys create` and `diorama keys revoke`."""

from typing import Annotated

import typer

from commands.database import migrated_database
from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from db import keys
from errors import NotFound

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def both() -> None:
    """Make and revoke API keys.

    They work on the database of the settings in the environment or in .env, or on that of the running local stack.
    """


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for; people see it.")],
    *,
    tenant: Annotated[str, typer.Option(help="Whose it is; made when there is none of this name.")] = "local",
    operator: Annotated[
        bool, typer.Option("--operator", help="Let it decide for the service, over all tenants.")
    ] = False,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown once: only its hash is kept."""
    screen = Screen(as_json=as_json)

    async def make() -> ExitCode:
        settings = await server_settings(stack_dir)
        key = keys.new_key()
        pepper = settings.api_key_pepper.get_secret_value()
        async with migrated_database(settings) as database, database.transaction() as session:
            await keys.ensure_key(session, key, pepper=pepper, tenant_name=tenant, name=name, operator=operator)
        screen.record("key", id=key.split("_")[1], name=name, tenant=tenant, operator=operator, api_key=key)
        screen.say(
            f"{key}\nKeep it: it cannot be shown again. To take it back: diorama keys revoke {key.split('_')[1]}"
        )
        return ExitCode.ok

    run(screen, make())


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The 12 characters behind `dio_`, or the whole key.")],
    *,
    stack_dir: StackDir = STACK_DIR,
    as_json: AsJson = False,
) -> None:
    """Stop accepting an API key; it takes two seconds to be known everywhere."""
    screen = Screen(as_json=as_json)
    short = key_id.removeprefix("dio_").partition("_")[0]

    async def take_back() -> ExitCode:
        settings = await server_settings(stack_dir)
        try:
            async with migrated_database(settings) as database, database.transaction() as session:
                await keys.revoke(session, short)
        except NotFound:
            raise NotFound(f"There is no key {short}.") from None
        screen.record("revoked", id=short)
        screen.say(f"{short} is revoked.")
        return ExitCode.ok

    run(screen, take_back())
