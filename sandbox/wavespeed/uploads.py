"""Uploads in two steps: a ticket from the API, then the bytes with PUT to where it points; kept for seven days."""

import re
import secrets
from pathlib import Path
from typing import Final

from sandbox.clock import SandboxClock
from sandbox.json_text import Json
from sandbox.record_log import RecordLog

LIFETIME_S: Final = 7 * 24 * 3600.0
MAX_BYTES: Final = 200 * 1024 * 1024
PREFIX: Final = "/wavespeed/media"
_ADDRESS: Final = re.compile(rf"{PREFIX}/([0-9a-f]{{32}})/")


class UploadShelf:
    """Tickets, and the files that were put under them."""

    def __init__(self, folder: Path, log: RecordLog, clock: SandboxClock, public_url: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._log = log
        self._clock = clock
        self._public_url = public_url
        self._tickets: dict[str, Json] = {}
        log.subscribe("wavespeed_upload", self._replay)

    def ticket(self, filename: str, size: int, content_type: str) -> Json:
        """A new ticket, as the API gives it."""
        name = secrets.token_hex(16)
        record = {"name": name, "filename": filename, "size": size, "content_type": content_type}
        record["expires_at"] = self._clock.now() + LIFETIME_S
        self._tickets[name] = record
        self._log.append("wavespeed_upload", record)
        address = f"{self._public_url}{PREFIX}/{name}/{filename}"
        headers = {"Content-Type": content_type, "If-None-Match": "*"}
        return {
            "type": "image",
            "download_url": address,
            "filename": filename,
            "size": size,
            "upload": {"method": "PUT", "url": address, "headers": headers},
        }

    def put(self, name: str, content: bytes) -> bool:
        """Store the bytes of a ticket; False when there is no such ticket, or they are not what it was made for."""
        ticket = self._tickets.get(name)
        if ticket is None or ticket["size"] != len(content):
            return False
        (self._folder / name).write_bytes(content)
        return True

    def content_of(self, address: str) -> bytes | None:
        """The bytes behind an address of ours; None for another's, and for one that has expired or was never filled."""
        match = _ADDRESS.search(address)
        ticket = self._tickets.get(match[1]) if match and address.startswith(self._public_url) else None
        if ticket is None or self._clock.now() >= ticket["expires_at"]:
            return None
        path = self._folder / str(ticket["name"])
        return path.read_bytes() if path.exists() else None

    def erase(self) -> None:
        """Forget every upload."""
        self._tickets.clear()
        for path in self._folder.iterdir():
            path.unlink()

    def _replay(self, record: Json) -> None:
        self._tickets[record["name"]] = dict(record)
