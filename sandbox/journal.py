"""Every request that a provider's address received, answered or not."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from sandbox.json_text import Json
from sandbox.record_log import RecordLog

# Headers that say how a client behaves. Credentials are never among them.
KEPT_HEADERS: Final = frozenset(
    {
        "cancel-after",
        "content-length",
        "content-type",
        "idempotency-key",
        "prefer",
        "user-agent",
        "x-client-request-id",
        "x-stainless-retry-count",
    }
)
REMEMBERED: Final = 200_000
"""Entries kept in memory, about 150 MB; the file holds them all."""


class Journal:
    """Append-only. Status 0 stands for a connection that was dropped instead of answered."""

    def __init__(self, path: Path) -> None:
        self._entries: deque[Json] = deque(maxlen=REMEMBERED)
        self.counts: Counter[tuple[str, str, int]] = Counter()
        self.erasures = 0
        self._log = RecordLog(path)
        self._log.subscribe("request", self._remember)
        self._log.replay()

    def write(self, entry: Json) -> None:
        """Add one request: time, provider, operation, method, path, status and so on."""
        self._remember(entry)
        self._log.append("request", entry)

    def entries(self, wanted: Mapping[str, str], limit: int) -> list[Json]:
        """The newest `limit` entries whose fields equal those wanted, oldest first."""
        return list(reversed(list(self._matching(wanted, limit))))

    def erase(self) -> None:
        """Forget every request; one that is still on its way must not be written afterwards, which `erasures` tells."""
        self.erasures += 1
        self._entries.clear()
        self.counts.clear()
        self._log.erase()

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def _matching(self, wanted: Mapping[str, str], limit: int) -> Iterator[Json]:
        found = 0
        for entry in reversed(self._entries):
            if found == limit:
                return
            if all(str(entry.get(field)) == value for field, value in wanted.items()):
                found += 1
                yield entry

    def _remember(self, entry: Json) -> None:
        self._entries.append(entry)
        self.counts[entry["provider"], entry["operation"], entry["status"]] += 1
