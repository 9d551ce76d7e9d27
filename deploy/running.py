"""Whether a stack runs in a folder, asked from outside of the process that runs it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from deploy.addresses import StackAddresses, stack_addresses
from deploy.stack_lock import lock_holder, stack_root
from deploy.stack_ports import LOOPBACK
from deploy.stack_state import load_secrets, load_state

ANSWER_TIMEOUT_S = 1.0
PORT_OF_SERVICE: Mapping[str, str] = {
    "postgres": "postgres",
    "temporal": "temporal",
    "store": "store",
    "sandbox": "sandbox",
    "api": "api",
    "worker": "worker_health",
}


async def running(root: Path) -> StackAddresses | None:
    """The addresses of the stack in `root`; None unless its lock is held and all its services take connections.

    `deploy.stack_lock.lock_holder(root)` tells apart a stack that is still starting or half down: its process id is
    there although this is None. Raises StackStateBroken.
    """
    root = stack_root(root)
    secrets = load_secrets(root)
    if lock_holder(root) is None or secrets is None:
        return None
    state = load_state(root)
    ports = [state.ports[PORT_OF_SERVICE[name]] for name in state.services if name in PORT_OF_SERVICE]
    answers = await asyncio.gather(*(_takes_connections(port) for port in ports))
    return stack_addresses(state.ports, secrets) if all(answers) else None


async def _takes_connections(port: int) -> bool:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
