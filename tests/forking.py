"""The process that our programs are forked from: run by path, it imports what takes a start nine tenths of its time.

It reads an order a line, and tells a line when a program was born and when one has ended. Nothing of the product is imported
before the fork, so each program has the tree that it was ordered from; nothing that begins a thread is, either.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, Final

LIBRARIES: Final = (
    "aiohttp",
    "asyncpg",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.x509",
    "fastapi",
    "h11",
    "httpcore",
    "httptools",
    "httpx",
    "httpx2",
    "miniopy_async",
    "openai.types.images_response",
    "PIL.Image",
    "prometheus_client",
    "pydantic_settings",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.ext.asyncio",
    "sqlmodel.ext.asyncio.session",
    "standardwebhooks",
    "structlog",
    "temporalio.client",
    "temporalio.contrib.pydantic",
    "temporalio.worker",
    "uvicorn",
    "uvloop",
)
PR_SET_PDEATHSIG = 1  # linux/prctl.h
EXIT_ORPHANED = 120
ORDERS, ORDERS_AT_MOST = 0, 1 << 16


def tell(**facts: int) -> None:
    """One line for whoever ordered."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process when its parent ends; leave at once if that has happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(EXIT_ORPHANED)


def become(order: dict[str, Any], parent: int) -> None:
    """Be the program that was ordered, to its end."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    die_with_parent(parent)
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((nothing, log, log)):
        os.dup2(source, number)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a program that is killed has said what it said
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.path[:0] = filter(None, order["environment"].get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = order["arguments"]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def born(order: dict[str, Any]) -> int:
    """Fork the program; its process id."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 0
    try:
        become(order, parent)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - a program ends with what it meets, in its log; never as a second one of this
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def tell_of_the_dead() -> None:
    """Each program that has ended since; a negative code is the signal that ended it."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        tell(ended=pid, code=os.waitstatus_to_exitcode(status))


def main() -> None:
    """Until nobody orders any more."""
    die_with_parent(int(sys.argv[1]))
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    unread = b""
    while True:
        ready, _, _ = select.select([ORDERS, awake], [], [])
        if awake in ready:
            os.read(awake, ORDERS_AT_MOST)
            tell_of_the_dead()
        if ORDERS in ready:
            read = os.read(ORDERS, ORDERS_AT_MOST)
            if not read:
                return
            *lines, unread = (unread + read).split(b"\n")
            for line in lines:
                tell(born=born(json.loads(line)))


if __name__ == "__main__":
    sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
    main()
