"""`diorama worker`."""

import typer

from worker import main

app = typer.Typer(add_completion=False)


@app.command()
def worker() -> None:
    """Run the worker with the settings in the environment.

    Logs JSON lines on standard output. Exit code 2: the settings are not usable.
    """
    raise typer.Exit(main())
