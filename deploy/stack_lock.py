"""One supervisor per folder: an exclusive lock on ROOT/lock that names its holder."""

import asyncio
import contextlib
import fcntl
import os
import time
from pathlib import Path

import psutil

from deploy.failures import StackAlreadyRunning

# After kill -9 the reaper holds the lock while the database shuts down (5 s) and the rest is ended (5 s).
WAIT_FOR_REAPER_S = 20.0


class StackLock:
    """Held from `acquire` to `release`; the kernel lets go of it when the last process that has it open ends."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = lock_path(root)
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file, to be inherited by the reaper."""
        if self._descriptor is None:
            raise RuntimeError("the lock is not held")
        return self._descriptor

    async def acquire(self) -> None:
        """Take the lock, waiting only for a reaper that still cleans up.

        Raises StackAlreadyRunning: a living process holds it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    async def _take(self, descriptor: int) -> None:
        deadline = time.monotonic() + WAIT_FOR_REAPER_S
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            owner = _owner(self._path)
            if (owner is not None and _lives(owner)) or time.monotonic() > deadline:
                raise StackAlreadyRunning(self._root, owner)
            await asyncio.sleep(0.05)

    def release(self) -> None:
        """Let go; doing it twice is harmless."""
        if self._descriptor is None:
            return
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = None


def stack_root(folder: Path) -> Path:
    """The one spelling of a stack's folder that its processes are found by."""
    return folder.expanduser().resolve()


def lock_path(root: Path) -> Path:
    """Where the lock of the stack in `root` lies."""
    return root / "lock"


def lock_holder(root: Path) -> int | None:
    """The process that runs the stack in `root` now; None when nobody does."""
    path = lock_path(stack_root(root))
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        if _try_lock(file.fileno(), fcntl.LOCK_SH):
            return None
        owner = _owner(path)
        return owner if owner is not None and _lives(owner) else None
    return None


def _lives(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(path: Path) -> int | None:
    text = path.read_text().strip()
    return int(text) if text.isdigit() else None
