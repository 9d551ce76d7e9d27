"""`Prefer: wait=N` (RFC 7240): hold the answer until the generation has ended, or N seconds."""

import re

_WAIT = re.compile(r"""(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])""", re.ASCII | re.IGNORECASE)
LONGEST_S = 60  # proxies cut silent connections after about a minute


def preferred_wait(header: str | None) -> int | None:
    """Seconds to wait, 1..60; None when the client does not ask for it, or not in a way that can be read."""
    found = _WAIT.search(header or "")
    if found is None or int(found.group(1)) == 0:
        return None
    return min(int(found.group(1)), LONGEST_S)
