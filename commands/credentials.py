"""`diorama credentials reseal`."""

import typer

from commands.database import migrated_database
from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from db import credentials
from db.audit import COMMAND
from db.credential_safe import CredentialSafe
from errors import ConfigurationError

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def group() -> None:
    """Look after the provider keys that tenants brought: change the key that encrypts them.

    It works on the database of the settings in the environment or in .env, or on that of the running local stack.
    """


@app.command()
def reseal(*, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False) -> None:
    """Encrypt by the first key of DIORAMA_CREDENTIAL_KEYS what an older one sealed. Then the older one may go.

    Keys that cannot be read are named, and stay as they are: then it ends with code 1.
    """
    screen = Screen(as_json=as_json)

    async def seal() -> ExitCode:
        settings = await server_settings(stack_dir)
        ring = settings.credential_key_ring
        if ring is None:
            raise ConfigurationError("DIORAMA_CREDENTIAL_KEYS is not set: there is no key to encrypt by.")
        async with migrated_database(settings) as database, database.transaction() as session:
            done = await credentials.reseal(session, COMMAND, CredentialSafe(ring))
            unreadable = [
                {"tenant_id": str(row.tenant_id), "provider": row.provider, "sealed_by": row.sealed_by}
                for row in done.unreadable
            ]
        screen.record("resealed", count=done.count, sealed_by=ring.newest, unreadable=unreadable)
        screen.say(f"{done.count} provider keys were encrypted anew, by '{ring.newest}'.")
        for row in unreadable:
            screen.say("Tenant {tenant_id}'s key at {provider} cannot be read: '{sealed_by}' sealed it.".format(**row))
        return ExitCode.failed if unreadable else ExitCode.ok

    run(screen, seal())
