"""`diorama doctor`."""

import typer

from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, AsJson, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_environment
from deploy.doctor import diagnose

app = typer.Typer(add_completion=False)

MARKS = {"ok": "[green]ok     [/green]", "warning": "[yellow]warning[/yellow]", "problem": "[red]problem[/red]"}


@app.command()
def doctor(*, stack_dir: StackDir = STACK_DIR, as_json: AsJson = False) -> None:
    """Say in words what is wrong with this installation.

    Looks at the settings in the environment or in .env (or of the running local stack), at the servers they lead to and at
    this machine. Changes nothing. Exit code 2: there is a problem.
    """
    screen = Screen(as_json=as_json)

    async def look() -> ExitCode:
        findings = await diagnose(await server_environment(stack_dir))
        for found in findings:
            screen.record("finding", level=found.level, what=found.what, why=found.why, what_to_do=found.what_to_do)
            screen.say(f"{MARKS[found.level]} {found.what}")
            for line in filter(None, [found.why, found.what_to_do]):
                screen.say(f"        [dim]{line}[/dim]")
        troubled = any(found.level == "problem" for found in findings)
        return ExitCode.usage if troubled else ExitCode.ok

    run(screen, look())
