"""Uploaded files: kept for 24 hours, usable as prediction inputs by their address."""

import base64
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import md5, sha256
from pathlib import Path
from typing import Any, Final

from sandbox.clock import SandboxClock, iso
from sandbox.json_text import Json
from sandbox.record_log import RecordLog

LIFETIME_S: Final = 24 * 3600.0
MAX_BYTES: Final = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """What is known of a file; its bytes lie beside the log."""

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    md5: str
    metadata: Any
    created_at: float

    @property
    def expires_at(self) -> float:
        """When it is removed."""
        return self.created_at + LIFETIME_S

    def as_json(self, api_url: str) -> Json:
        """The file as the API gives it."""
        return {
            "id": self.id,
            "name": self.name,
            "content_type": self.content_type,
            "size": self.size,
            "etag": self.md5,
            "checksums": {"sha256": self.sha256, "md5": self.md5},
            "metadata": self.metadata,
            "created_at": iso(self.created_at),
            "expires_at": iso(self.expires_at),
            "urls": {"get": f"{api_url}/v1/files/{self.id}"},
        }


class FileShelf:
    """Keeps uploaded files."""

    def __init__(self, folder: Path, log: RecordLog, clock: SandboxClock) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._log = log
        self._clock = clock
        self._files: dict[str, UploadedFile] = {}
        log.subscribe("file", self._replay)
        log.subscribe("file_deleted", lambda record: self._files.pop(record["id"], None))

    def add(self, name: str, content_type: str, content: bytes, metadata: Any) -> UploadedFile:
        """Store a file."""
        file = UploadedFile(
            id=base64.b32encode(os.urandom(17))[:26].decode().lower(),
            name=name,
            content_type=content_type,
            size=len(content),
            sha256=sha256(content).hexdigest(),
            md5=md5(content, usedforsecurity=False).hexdigest(),
            metadata=metadata,
            created_at=self._clock.now(),
        )
        (self._folder / file.id).write_bytes(content)
        self._files[file.id] = file
        self._log.append("file", asdict(file))
        return file

    def get(self, file_id: str) -> UploadedFile | None:
        """A file that has not expired."""
        file = self._files.get(file_id)
        return file if file and self._clock.now() < file.expires_at else None

    def newest_first(self) -> Iterator[UploadedFile]:
        """All files that have not expired."""
        return (file for file in reversed(self._files.values()) if self.get(file.id))

    def content(self, file_id: str) -> bytes | None:
        """The bytes of a file that has not expired."""
        return (self._folder / file_id).read_bytes() if self.get(file_id) else None

    def delete(self, file: UploadedFile) -> None:
        """Remove a file."""
        del self._files[file.id]
        (self._folder / file.id).unlink(missing_ok=True)
        self._log.append("file_deleted", {"id": file.id})

    def erase(self) -> None:
        """Forget every file."""
        self._files.clear()
        for path in self._folder.iterdir():
            path.unlink()

    def _replay(self, record: Json) -> None:
        self._files[record["id"]] = UploadedFile(**record)
