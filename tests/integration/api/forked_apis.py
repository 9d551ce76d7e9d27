"""`python -m tests.integration.api.forked_apis PORT...`: the API's process so many times.

Each is as `python -m api` makes it, but that its modules were imported once for all of them: that takes most of a start.
"""

import os
import signal
import sys

from api.__main__ import main


def serve(ports: list[str]) -> int:
    """A process for each port; returns, when all have ended, the worst of their exit codes."""
    for port in ports:
        if os.fork() == 0:
            os.environ["DIORAMA_API_PORT"] = port
            main()
            return 0
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is for the children, and waited for
    return max(os.waitstatus_to_exitcode(os.wait()[1]) for _ in ports)


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
