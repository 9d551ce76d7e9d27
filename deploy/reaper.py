"""The process that outlives the supervisor by seconds: ends the stack's processes when the supervisor is gone.

`python -m deploy.reaper ROOT`: waits for the end of its standard input, which the supervisor holds open and the kernel
closes even after kill -9. It also holds the stack's lock (an inherited descriptor) until it is done, so that the next
start waits for a clean field. The kernel's death signal ends direct children; this ends everything else: pools of
workers, paused processes, a database that does not shut down.
"""

import signal
import sys
from pathlib import Path

from deploy.leftovers import end_leftovers


def main() -> None:
    """Wait for the supervisor's end, then end what is left."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_leftovers(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
