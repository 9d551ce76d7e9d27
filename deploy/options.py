"""What a person may choose about a local stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from deploy.stack_ports import LOOPBACK

SERVICES = ("postgres", "temporal", "store", "sandbox", "migrations", "api", "worker")
ALL: frozenset[str] = frozenset(SERVICES)
USUAL_PROVIDERS: frozenset[str] = frozenset({"replicate", "openai"})


@dataclass(frozen=True)
class StackOptions:
    """Defaults are for people: durable, playful providers, free ports.

    fsync: whether the database waits for the disk; off only where the machine's crash may cost the data (tests).
    providers: whom the API and the worker have keys of (see `deploy.provider_variables.PROVIDERS`); the sandbox plays them all.
    real_providers: use the provider keys of the caller's environment, where present, instead of the sandbox.
    ports: fixed numbers by name (`api`, `temporal_ui`, ... see `deploy.stack_ports.PORT_NAMES`).
    api_host: the address that the API listens on; 0.0.0.0 makes it reachable from other machines.
    image_url_hosts: `host:port` that may be fetched although they are private addresses.
    settings: further DIORAMA_* variables for the API and the worker, which go before all others.
    ready_timeout_s: how long each service may take until it serves, seconds.
    """

    fsync: bool = True
    providers: frozenset[str] = USUAL_PROVIDERS
    real_providers: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)
    api_host: str = LOOPBACK
    image_url_hosts: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    sandbox_drawing: Literal["full", "fast"] = "full"
    sandbox_duration_s: float = 2
    ready_timeout_s: float = 60


FOR_PEOPLE = StackOptions()
