"""Input pictures: data URIs, uploaded files and addresses that are fetched, as a provider fetches them."""

import asyncio
import base64
import binascii
from hashlib import sha256
from pathlib import Path
from typing import Final

import httpx

MAX_BYTES: Final = 50 * 1024 * 1024
PARALLEL_FETCHES: Final = 64
TIMEOUT_S: Final = 30.0


class ReferenceUnavailable(Exception):
    """An input picture that could not be had. `reason` is what the provider says about it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_data_uri(address: str) -> bool:
    """Whether the picture is in the address itself."""
    return address.startswith("data:")


def decode_data_uri(uri: str) -> bytes:
    """The bytes of a base64 data URI. Raises ReferenceUnavailable."""
    head, comma, payload = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise ReferenceUnavailable("invalid data URI")
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise ReferenceUnavailable("invalid base64 in data URI") from error


class ReferenceStore:
    """Fetches pictures over HTTP and keeps bytes by their SHA-256."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._http: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(PARALLEL_FETCHES)

    async def fetch(self, url: str) -> bytes:
        """The bytes at an http(s) address. Raises ReferenceUnavailable."""
        try:
            async with self._slots:
                response = await self._client().get(url)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ReferenceUnavailable(f"Failed to download {url}: {type(error).__name__}") from error
        if response.status_code != httpx.codes.OK:
            reason = f"{response.status_code} Client Error: {response.reason_phrase} for url: {url}"
            raise ReferenceUnavailable(reason)
        if len(response.content) > MAX_BYTES:
            raise ReferenceUnavailable(f"File at {url} is larger than {MAX_BYTES // 2**20} MB")
        return response.content

    def keep(self, content: bytes) -> str:
        """Store bytes and return their SHA-256 in hex."""
        name = sha256(content).hexdigest()
        path = self._folder / name
        if not path.exists():
            path.write_bytes(content)
        return name

    def kept(self, name: str) -> bytes | None:
        """Stored bytes by their SHA-256."""
        path = self._folder / name
        return path.read_bytes() if path.exists() else None

    def erase(self) -> None:
        """Forget stored bytes."""
        for path in self._folder.iterdir():
            path.unlink()

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                timeout=TIMEOUT_S,
                follow_redirects=True,
                trust_env=False,
                limits=httpx.Limits(max_connections=PARALLEL_FETCHES, max_keepalive_connections=PARALLEL_FETCHES),
                headers={"user-agent": "diorama-sandbox"},
            )
        return self._http
