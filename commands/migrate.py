"""`diorama migrate`."""

import typer

from commands.database import reachable
from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from db.migrate import revisions, upgrade

app = typer.Typer(add_completion=False)


@app.command()
def migrate(*, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False) -> None:
    """Bring the database to the newest schema.

    The database is that of the settings in the environment or in .env, or of the running local stack. Harmless when nothing
    is missing, and when several run at once.
    """
    screen = Screen(as_json=as_json)

    async def bring() -> ExitCode:
        url = (await server_settings(stack_dir)).database_url
        async with reachable(url):
            before, _ = await revisions(url)
        await upgrade(url)
        after, _ = await revisions(url)
        screen.record("migrated", before=before, after=after)
        screen.say(f"Already at {after}." if before == after else f"From {before or 'nothing'} to {after}.")
        return ExitCode.ok

    run(screen, bring())
