"""The `diorama` command. Subcommands live in commands/, one a file, and are imported when they are called: help is fast."""

import os
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

# name -> (module, what it does: the first line of the command's own help, which a test compares)
COMMANDS = {
    "demo": ("commands.demo", "Make an avatar and a scene with it, from nothing but this command."),
    "up": ("commands.up", "Start the local stack, and run it until Ctrl-C."),
    "generate": ("commands.generate", "Ask for pictures: avatar, scene, avatar-scene, image or enhance."),
    "quote": (
        "commands.quote",
        "Ask what a request will cost, before it runs; it takes what `diorama generate` takes.",
    ),
    "watch": ("commands.watch", "Follow a generation to its end."),
    "cancel": ("commands.cancel", "Ask a generation to stop; what it made is taken back."),
    "erase": ("commands.erase", "Forget a session or a user for ever: all pictures and words, with a signed receipt."),
    "list": ("commands.list_generations", "List generations, newest first."),
    "themes": ("commands.themes", "List the places that a scene can be set in."),
    "catalog": (
        "commands.catalog",
        "See the models that can be bought from, and compare them with what the providers say.",
    ),
    "keys": ("commands.keys", "Make, list, rotate and revoke API keys."),
    "tenants": ("commands.tenants", "Make, change, suspend and resume tenants."),
    "audit": ("commands.audit", "Show who decided what about tenants, keys and money, newest first."),
    "credentials": (
        "commands.credentials",
        "Look after the provider keys that tenants brought: change the key that encrypts them.",
    ),
    "budgets": ("commands.budgets", "Say how much may be spent, by whom and in which time, and see what is left."),
    "providers": ("commands.providers", "Show how the providers stand: breaker, success, speed, queue, limit."),
    "models": ("commands.models", "Show the models: what they can do and cost, and how long a new picture would take."),
    "lanes": ("commands.lanes", "Pause, drain, resume and limit providers and models."),
    "reviews": ("commands.reviews", "Decide about purchases whose outcome nobody knows."),
    "reconcile": ("commands.reconcile", "Look for everything that went astray, and mend it."),
    "usage": ("commands.usage", "Show what was asked for, bought and spent, by day or otherwise."),
    "reconcile-bill": ("commands.reconcile_bill", "Compare a provider's bill with our ledger."),
    "worker-versions": ("commands.worker_versions", "See, promote and drain releases of the worker."),
    "webhooks": ("commands.webhooks", "Tell your own servers how generations end: endpoints, secrets, deliveries."),
    "migrate": ("commands.migrate", "Bring the database to the newest schema."),
    "doctor": ("commands.doctor", "Say in words what is wrong with this installation."),
    "api": ("commands.api", "Run the HTTP API with the settings in the environment."),
    "codec": ("commands.codec", "Show Temporal's Web UI and command line what DIORAMA_PAYLOAD_KEYS encrypts."),
    "worker": ("commands.worker", "Run the worker with the settings in the environment."),
}

ENGINE_CLIENT = "temporalio.bridge.runtime"

HELP = """Durable image generation: an avatar, then a scene with that avatar in it."""
EXIT_CODES = (
    "Exit codes: 0 it worked; 1 the generation did not succeed (failed, or in review), or it is too late for what was asked; "
    "2 the command, the request or the configuration is wrong; 3 a server cannot be reached; 4 the generation was canceled; "
    "130 stopped by Ctrl-C."
)


class Subcommands(TyperGroup):
    """Knows the names and purposes of all commands, and loads the one that is called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, (_, summary) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The real command in place of the one that only explains itself."""
        name, known, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else known, rest


def load(name: str) -> Any:
    """The command of this name, with its module imported. Each module has one Typer application, `app`."""
    module, _ = COMMANDS[name]
    return get_command(import_module(module).app)


app = typer.Typer(cls=Subcommands, help=HELP, epilog=EXIT_CODES, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def diorama() -> None:
    """Options of all commands: none."""


def main() -> None:
    """Entry of the `diorama` script."""
    try:
        app()
    except SystemExit as end:
        # Threads of the engine's client may outlive the interpreter and abort the process at its very end, all work done.
        if ENGINE_CLIENT in sys.modules and isinstance(end.code, int):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


if __name__ == "__main__":
    main()
