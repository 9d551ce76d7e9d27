"""Which API a command talks to, and with which key."""

from dataclasses import dataclass
from pathlib import Path

from commands.troubles import ServerUnreachable
from deploy.running import running
from deploy.stack_state import load_secrets
from errors import ConfigurationError


@dataclass(frozen=True)
class Connection:
    """An API's address (http://host:port) and a key that it knows."""

    api_url: str
    api_key: str


async def find_connection(api_url: str | None, api_key: str | None, stack_dir: Path) -> Connection:
    """What was given, and for the rest what the local stack in `stack_dir` says.

    Raises ServerUnreachable: no address was given and no stack runs. ConfigurationError: no key for the given address.
    """
    if api_url and api_key:
        return Connection(_checked(api_url), api_key)
    addresses = await running(stack_dir)
    if addresses is None:
        if api_url:
            raise ConfigurationError(f"There is no key for {api_url}: give --api-key, or set DIORAMA_API_KEY.")
        raise ServerUnreachable(f"No stack runs in {stack_dir}, and no other server was named.")
    if api_url and _checked(api_url) != addresses.api_url:
        raise ConfigurationError(f"There is no key for {api_url}: give --api-key, or set DIORAMA_API_KEY.")
    return Connection(addresses.api_url, api_key or stack_key(stack_dir))


def stack_key(stack_dir: Path) -> str:
    """The API key that a stack made for its owner. Raises ConfigurationError: there was no stack here yet."""
    secrets = load_secrets(stack_dir)
    if secrets is None:
        raise ConfigurationError(f"{stack_dir} holds no key; `diorama up` makes one.")
    return secrets.bootstrap_api_key


def _checked(api_url: str) -> str:
    if not api_url.startswith(("http://", "https://")):
        raise ConfigurationError(f"'{api_url}' is no address of an API: it begins with http:// or https://.")
    return api_url.rstrip("/")
