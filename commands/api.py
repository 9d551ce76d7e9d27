"""`diorama api`."""

import typer

from api.__main__ import main

app = typer.Typer(add_completion=False)


@app.command()
def api() -> None:
    """Run the HTTP API with the settings in the environment.

    Logs JSON lines on standard output. Exit code 2: the settings are not usable.
    """
    main()
