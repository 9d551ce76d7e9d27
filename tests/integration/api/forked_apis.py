"""`python -m tests.integration.api.forked_apis PORT...`: the API's process so many times.

Each is as patient_api.py makes it, but that its modules were imported once for all of them: that takes most of a start.
When one of them ends, all do.
"""

import os
import signal
import sys

from tests.integration.api.patient_api import main


def serve(ports: list[str]) -> int:
    """A process for each port; returns, when all have ended, the exit code of the first one that did."""
    alive = set[int]()
    for port in ports:
        if (pid := os.fork()) == 0:
            os.environ["DIORAMA_API_PORT"] = port
            main()
            return 0
        alive.add(pid)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is for the children, and waited for
    first, status = os.wait()
    for pid in alive - {first}:
        os.kill(pid, signal.SIGTERM)  # none has been waited for, so each is a child of ours yet
        os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
