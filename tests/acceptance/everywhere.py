"""Looks for a word in all that a stack keeps: rows of every table, keys in the store, log files, the engine's histories."""

import json
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import text
from temporalio.client import Client

from db.tables import METADATA
from tests.acceptance.client import Diorama


async def rows_with(diorama: Diorama, word: str) -> list[str]:
    """`table: row` of each row that holds the word, as PostgreSQL writes it out."""
    found: list[str] = []
    async with diorama.database.transaction() as session:
        connection = await session.connection()
        for table in sorted(METADATA.tables):
            query = text(f'select t::text from "{table}" t where t::text like :word')  # noqa: S608 our own tables
            rows = (await connection.execute(query, {"word": f"%{word}%"})).scalars().all()
            found += [f"{table}: {row}" for row in rows]
    return found


async def keys_with(diorama: Diorama, *words: str) -> list[str]:
    """The keys in the store that hold one of these words."""
    return [found.key async for found in diorama.storage.list_prefix("") if any(word in found.key for word in words)]


def lines_with(folder: Path, word: str) -> list[str]:
    """`file: line` of each line of a log that holds the word."""
    return [
        f"{path.name}: {line}"
        for path in sorted(folder.rglob("*.log*"))
        for line in path.read_text("utf-8", "replace").splitlines()
        if word in line
    ]


async def histories_with(client: Client, word: str, workflow_ids: Sequence[str]) -> list[str]:
    """The workflows among these whose history, payloads read, or whose summary, memo and search attributes hold the word."""
    found: list[str] = []
    for workflow_id in workflow_ids:
        handle = client.get_workflow_handle(workflow_id)
        history = await handle.fetch_history()
        payloads = b"".join(event.SerializeToString() for event in history.events)
        described = (await handle.describe()).raw_description.SerializeToString()
        if word in json.dumps(history.to_json_dict()) or word.encode() in payloads + described:
            found.append(workflow_id)
    return found
