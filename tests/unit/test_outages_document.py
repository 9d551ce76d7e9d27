"""docs/outages.md promises a test for each of its lines."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_line_of_the_table_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "outages.md").read_text("utf-8")
    table = text.partition("## What is down")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    source = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^async def (test_\w+)\(", source, re.MULTILINE))

    assert len(rows) > 10
    assert [row for row in rows if not re.findall(r"`(test_\w+)`", row)] == []
    assert set(re.findall(r"`(test_\w+)`", table)) <= there
