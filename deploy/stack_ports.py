"""The ports of a stack: free ones, remembered in ROOT/stack.json, chosen anew when another program has taken one."""

import random
import socket
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from deploy.failures import PortTaken

LOOPBACK = "127.0.0.1"
PORT_NAMES = (
    "postgres",
    "temporal",
    "temporal_http",
    "temporal_ui",
    "temporal_metrics",
    "store",
    "store_metrics",
    "sandbox",
    "api",
    "worker_health",
)
# Ports that the kernel hands to outgoing connections are avoided: a client that keeps trying to reach a stopped service
# would one day be given the service's own port, connect to itself, and keep the service from coming back.
LOWEST_PORT = 20_000
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
EPHEMERAL_START = 32_768  # the kernel's default
ATTEMPTS = 1_000


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose_ports(remembered: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, int]:
    """A port for every name: the wanted one, else the remembered one while it is free, else a free one.

    Raises PortTaken: a wanted port is in use.
    """
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        if not is_free(port):
            raise PortTaken(name, port)
        chosen[name] = port
    for name in PORT_NAMES:
        if name in chosen:
            continue
        port = remembered.get(name, 0)
        usable = port and port not in chosen.values() and is_free(port)
        chosen[name] = port if usable else find_free_port(chosen.values())
    return chosen


def find_free_port(besides: Collection[int] = ()) -> int:
    """A free loopback port below the kernel's ephemeral range."""
    end = _ephemeral_start()
    for _ in range(ATTEMPTS if end > LOWEST_PORT + ATTEMPTS else 0):
        port = random.randrange(LOWEST_PORT, end)
        if port not in besides and is_free(port) and _is_unclaimed(port):
            return port
    with socket.socket() as any_port:
        any_port.bind((LOOPBACK, 0))
        return int(any_port.getsockname()[1])


@contextmanager
def claimed(ports: Collection[int]) -> Iterator[None]:
    """Keep these ports from `find_free_port`, of any process, while the servers that they belong to are down.

    Linux lets a server listen beside a socket that has its port and does not listen, when both allow it (SO_REUSEADDR, as
    every server here does); other systems do not, and nothing is claimed there.
    """
    with ExitStack() as stack:
        for port in ports if sys.platform == "linux" else ():
            claim = stack.enter_context(socket.socket())
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):  # somebody listens there by now: its server will say so
                claim.bind((LOOPBACK, port))
        yield


def _is_unclaimed(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _ephemeral_start() -> int:
    try:
        return int(EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return EPHEMERAL_START
