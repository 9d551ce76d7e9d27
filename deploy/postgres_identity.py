"""As whom PostgreSQL, which refuses root, runs here."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.binaries import postgres_program
from deploy.process import SYSTEM_USER, Launch, StackProcess
from deploy.service import CommandRunner, Identity


async def postgres_identity(folder: Path, *, environment: Mapping[str, str], log: Path) -> Identity:
    """Choose how to run the server in `folder`.

    Root runs it in a user namespace, where no system user and no change of permissions is needed. Where the kernel
    refuses that, or the folder cannot be reached without root's powers, it runs as a system user.
    """
    if os.geteuid() != 0:
        return "ourselves"
    reach = ("/bin/sh", "-c", 'test -w "$1" && test -x "$2"', "sh", str(folder), postgres_program("postgres"))
    probe = await StackProcess.spawn(
        Launch(command=reach, environment=environment, folder=Path("/"), log=log, identity="user_namespace"),
    )
    return "user_namespace" if await probe.wait() == 0 else "system_user"


async def give_to_system_user(folder: Path, run: CommandRunner) -> None:
    """Make the system user, let it reach the folder and the server, and give it the folder. Needs root.

    Raises CommandFailed.
    """
    await run((sys.executable, "-P", "-m", "deploy.system_user", SYSTEM_USER, str(folder)))
