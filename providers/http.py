"""The one place that builds HTTP clients, so that moving to another httpx is one change."""

from collections.abc import Generator
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How we talk to a provider. Times in seconds; `silence_s`: the longest pause inside an answer."""

    connect_timeout_s: float = 5.0
    silence_s: float = 20.0
    max_connections: int = 500
    keepalive_s: float = 3.0  # shorter than any server's: a create must not meet a connection that is being closed
    trust_environment: bool = False  # True: use the proxies that the environment names


class OwnHostBearer(httpx.Auth):
    """Adds our key to requests that go to the API's own origin, and to no other: outputs may lie anywhere."""

    def __init__(self, api: httpx.URL, key: SecretStr) -> None:
        self._origin = _origin(api)
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request, with the key where it belongs."""
        if _origin(request.url) == self._origin:
            request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        yield request


def build_client(
    base_url: str, key: SecretStr, settings: HttpSettings, *, reuse_connections: bool = True
) -> httpx.AsyncClient:
    """A client for one provider. HTTP/1.1, no redirects, no retries. Raises ConfigurationError for an unusable key or URL."""
    secret = key.get_secret_value()
    if not secret.isascii() or not secret.isprintable() or not secret.strip():
        raise ConfigurationError("A provider's key is empty or has characters that no key has.")
    url = httpx.URL(base_url)
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError("A provider's base URL must start with http:// or https:// and name a host.")
    return httpx.AsyncClient(
        base_url=url,
        auth=OwnHostBearer(url, key),
        timeout=httpx.Timeout(settings.silence_s, connect=settings.connect_timeout_s),
        limits=httpx.Limits(
            max_connections=settings.max_connections,
            max_keepalive_connections=None if reuse_connections else 0,
            keepalive_expiry=settings.keepalive_s,
        ),
        headers={"User-Agent": "diorama", "Accept": "application/json"},
        follow_redirects=False,
        trust_env=settings.trust_environment,
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    default = {"http": 80, "https": 443}
    return url.scheme, url.host, url.port or default.get(url.scheme)
