"""Where the services of a stack are reached."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.stack_ports import LOOPBACK
from deploy.stack_secrets import StackSecrets

DATABASE_USER = "diorama"
DATABASE_NAME = "diorama"


@dataclass(frozen=True)
class StackAddresses:
    """URLs of the running stack; `database_url` holds the password and opens with psql and other libpq clients."""

    api_url: str
    docs_url: str
    temporal_address: str
    temporal_ui_url: str
    store_url: str
    database_url: str
    sandbox_url: str
    worker_health_url: str
    worker_health_port: int


def stack_addresses(ports: Mapping[str, int], secrets: StackSecrets) -> StackAddresses:
    """The addresses that follow from a stack's ports and secrets."""
    api_url = f"http://{LOOPBACK}:{ports['api']}"
    return StackAddresses(
        api_url=api_url,
        docs_url=f"{api_url}/docs",
        temporal_address=f"{LOOPBACK}:{ports['temporal']}",
        temporal_ui_url=f"http://{LOOPBACK}:{ports['temporal_ui']}",
        store_url=f"http://{LOOPBACK}:{ports['store']}",
        database_url=database_url(ports, secrets, scheme="postgresql"),
        sandbox_url=f"http://{LOOPBACK}:{ports['sandbox']}",
        worker_health_url=f"http://{LOOPBACK}:{ports['worker_health']}/readyz",
        worker_health_port=ports["worker_health"],
    )


def database_url(ports: Mapping[str, int], secrets: StackSecrets, *, scheme: str) -> str:
    """The database over TCP: a socket's path may not be longer than 107 bytes, a project's folder may."""
    credentials = f"{DATABASE_USER}:{secrets.postgres_password}"
    return f"{scheme}://{credentials}@{LOOPBACK}:{ports['postgres']}/{DATABASE_NAME}"
