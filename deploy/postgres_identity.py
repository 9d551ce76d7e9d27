"""As whom PostgreSQL, which refuses root, runs here."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.binaries import postgres_program
from deploy.failures import CommandFailed
from deploy.process import SYSTEM_USER, Launch, exit_code_of
from deploy.service import Identity


async def postgres_identity(folder: Path, *, environment: Mapping[str, str], log: Path) -> Identity:
    """Choose how to run the server in `folder`, and prepare what the choice needs.

    Root runs it in a user namespace, where no system user and no change of permissions is needed. Where the kernel
    refuses that, or the folder cannot be reached without root's powers, it runs as a system user, which is made.
    Raises CommandFailed: it cannot be made.
    """
    if os.geteuid() != 0:
        return "ourselves"
    reach = ("/bin/sh", "-c", 'test -w "$1" && test -x "$2"', "sh", str(folder), postgres_program("postgres"))
    anywhere = Path("/")
    probe = Launch(reach, environment, anywhere, log, identity="user_namespace")
    if await exit_code_of(probe) == 0:
        return "user_namespace"
    await give_to_system_user(folder, environment=environment, log=log)
    return "system_user"


async def give_to_system_user(folder: Path, *, environment: Mapping[str, str], log: Path) -> None:
    """Make the system user, let it reach the folder and the server, and give it the folder. Needs root.

    Raises CommandFailed.
    """
    prepare = (sys.executable, "-P", "-m", "deploy.system_user", SYSTEM_USER, str(folder))
    exit_code = await exit_code_of(Launch(prepare, environment, folder, log))
    if exit_code != 0:
        raise CommandFailed("deploy.system_user", exit_code)
