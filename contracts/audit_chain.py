"""The audit log as lines that are chained by hashes: a line that was changed, left out or put in later breaks all behind it.

The hashes are reckoned from the entries alone, so that whoever kept the last one of an export can export the same time again
and compare.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from errors import AuditChainBroken

# What stands before the first line.
BEGINNING: Final = "0" * 64
END: Final = "end"


class AuditChain:
    """Turns entries, in the order of their ids, into lines of JSON."""

    def __init__(self) -> None:
        self.head = BEGINNING
        self.entries = 0

    def line(self, entry: Mapping[str, Any]) -> str:
        """The next line, without a line end: the entry with its place, and its hash over itself and all before it."""
        previous, self.head = self.head, _hash(self.head, entry)
        self.entries += 1
        return json.dumps({"number": self.entries, "entry": entry, "previous": previous, "hash": self.head})

    def end(self) -> str:
        """The last line: how many there are, and the hash to keep. An export without it was cut off."""
        return json.dumps({"type": END, "entries": self.entries, "hash": self.head})


@dataclass(frozen=True, slots=True)
class ChainSummary:
    """An export that is whole: how many entries it has, and its last hash."""

    entries: int
    hash: str


def checked(lines: Iterable[str]) -> ChainSummary:
    """Reckon all hashes anew. Raises AuditChainBroken, which names the first line that does not fit."""
    chain, is_ended = AuditChain(), False
    for number, line in enumerate(lines, 1):
        if is_ended:
            raise AuditChainBroken(f"Line {number} was added behind the last one.", line=number)
        try:
            told = json.loads(line)
            if told.get("type") == END:
                if (told["entries"], told["hash"]) != (chain.entries, chain.head):
                    raise AuditChainBroken(f"Line {number} does not tell of the lines before it.", line=number)
                is_ended = True
                continue
            if json.loads(chain.line(told["entry"])) != told:
                raise AuditChainBroken(f"Line {number} was changed, or one before it is missing.", line=number)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise AuditChainBroken(f"Line {number} is no line of an export.", line=number) from None
    if not is_ended:
        raise AuditChainBroken("The last line is missing: the export was cut off.", line=chain.entries + 1)
    return ChainSummary(chain.entries, chain.head)


def _hash(previous: str, entry: Mapping[str, Any]) -> str:
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()
