"""How clients of tests connect."""

from typing import Final

import httpx

# Each request has a connection of its own. A server closes one that nobody used for five seconds; a client that stood still
# meanwhile, as a busy machine has them do, would send its request into it and be told of a lost connection.
FRESH: Final = httpx.Limits(max_keepalive_connections=0)
