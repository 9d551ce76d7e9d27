"""The local stack for the length of a command: the one that runs, or one that this command starts and stops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from commands.screen import Screen
from commands.stack_view import StackView
from commands.troubles import ServerUnreachable
from deploy.addresses import StackAddresses
from deploy.failures import ServiceFailed
from deploy.local import LocalStack
from deploy.options import StackOptions
from deploy.running import running
from deploy.stack_lock import lock_holder

Answer = TypeVar("Answer")

OTHERS_START_S = 60.0
LOOK_AGAIN_S = 0.2


@dataclass(frozen=True)
class UsableStack:
    """A stack that serves; `own` is it when this command started it."""

    addresses: StackAddresses
    own: LocalStack | None

    async def during(self, work: Awaitable[Answer]) -> Answer:
        """Do this work while the stack serves. Raises ServiceFailed: a service of our own stack has ended meanwhile."""
        doing = asyncio.ensure_future(work)
        if self.own is None:
            return await doing
        breaking = asyncio.ensure_future(self.own.wait_failed())
        try:
            await asyncio.wait({doing, breaking}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise ServiceFailed(breaking.result())
            return doing.result()
        finally:
            doing.cancel()
            breaking.cancel()
            await asyncio.gather(doing, breaking, return_exceptions=True)


async def running_stack(stack_dir: Path) -> StackAddresses | None:
    """The stack that another process runs here, waited for while it starts. None: nobody runs one.

    Raises ServerUnreachable: it does not come to serve.
    """
    looked_s = 0.0
    while (owner := lock_holder(stack_dir)) is not None:
        addresses = await running(stack_dir)
        if addresses is not None:
            return addresses
        if looked_s >= OTHERS_START_S:
            raise ServerUnreachable(
                f"The stack in {stack_dir}, run by process {owner}, does not serve: look at its logs."
            )
        await asyncio.sleep(LOOK_AGAIN_S)
        looked_s += LOOK_AGAIN_S
    return None


@asynccontextmanager
async def started_stack(screen: Screen, stack_dir: Path, options: StackOptions) -> AsyncIterator[LocalStack]:
    """A stack of our own, shown as it starts, stopped at the end whatever happens. Raises StackError and its kin."""
    stack = LocalStack(stack_dir, options=options)
    try:
        with StackView(screen) as view:
            await stack.start(view.on_progress)
        yield stack
        screen.say("Stopping the stack ...")
    finally:
        await stack.stop()


@asynccontextmanager
async def usable_stack(screen: Screen, stack_dir: Path) -> AsyncIterator[UsableStack]:
    """The running stack, or one of our own."""
    addresses = await running_stack(stack_dir)
    if addresses is not None:
        yield UsableStack(addresses, None)
        return
    screen.say(f"Starting the local stack in {stack_dir} ...")
    async with started_stack(screen, stack_dir, StackOptions()) as stack:
        yield UsableStack(stack.addresses(), stack)
