"""Purchases whose answer was lost with a process, and whose job was found at the provider: only the workers' logs tell."""

import json
from pathlib import Path

ADOPTED = '"purchase.adopted"'


def count_adopted(logs: Path) -> int:
    """How many purchases were adopted, by all workers that log into this folder."""
    spends = set()
    for log in logs.glob("*worker*.log"):
        for line in log.read_text("utf-8", errors="replace").splitlines():
            if ADOPTED in line:
                spends.add(json.loads(line)["spend"])
    return len(spends)
