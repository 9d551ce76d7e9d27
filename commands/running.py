"""Runs a command's coroutine: Ctrl-C and SIGTERM end it in good order, and an expected trouble is one clear line."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import typer

from commands.exit_codes import ExitCode, of_error
from commands.screen import Screen
from errors import DioramaError


def run(screen: Screen, command: Coroutine[Any, Any, ExitCode]) -> None:
    """Run to the end and leave with the exit code that it means."""
    try:
        code = asyncio.run(_until_signal(command))
    except DioramaError as error:
        code = of_error(error)
        screen.trouble(error, code)
    raise typer.Exit(code)


async def _until_signal(command: Coroutine[Any, Any, ExitCode]) -> ExitCode:
    task = asyncio.ensure_future(command)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return ExitCode.interrupted
