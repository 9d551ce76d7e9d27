"""Looking through Replicate's list for a purchase whose answer was lost."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from providers.model_entry import ModelEntry
from providers.replicate_reads import ListTooLong, ReplicateReads
from providers.replicate_rows import Marks, Row, read_marks

_CLOCK_SKEW = timedelta(seconds=60)
_KEPT_FOR = timedelta(minutes=55)  # Replicate removes inputs, our token among them, after an hour


class ReplicateSearch:
    """Reads lists; `entries` are the rows of the catalog by model."""

    def __init__(self, reads: ReplicateReads, entries: Mapping[str, ModelEntry]) -> None:
        self._reads = reads
        self._entries = entries

    async def predictions(self, since: datetime) -> AsyncGenerator[dict[str, Any]]:
        """All predictions of the account since then, newest first. Raises ListTooLong."""
        async with aclosing(self._reads.rows("/v1/predictions", _created_after(since))) as listed:
            async for fields in listed:
                yield fields

    async def bought_with(self, token: str, sent_at: datetime) -> tuple[dict[str, Any] | None, bool]:
        """The prediction that was bought with this token since then, and whether that is certain, none included.

        Certain only when every page was read and every prediction on them showed what it was made from. Where no prediction
        shows the token, but some are of models that have no place for one, the marks that we upload decide.
        """
        legible = datetime.now(UTC) - sent_at < _KEPT_FOR
        without_token: dict[str, tuple[Row, dict[str, Any]]] = {}
        try:
            async with aclosing(self.predictions(sent_at)) as listed:
                async for fields in listed:
                    row = Row.of(fields)
                    entry = self._entries.get(row.model)
                    if row.carries(token, entry):
                        return fields, True
                    legible = legible and bool(row.made_from)
                    if entry is not None and row.token(entry) is None:
                        without_token[row.job_id] = (row, fields)
            if not without_token:
                return None, legible
            marks = await self._marks(token, sent_at)
        except ListTooLong:
            return None, False
        found, certain = marks.found_in(row for row, _ in without_token.values())
        return (without_token[found.job_id][1], True) if found else (None, certain and legible)

    def token_in(self, fields: Mapping[str, Any]) -> str | None:
        """The token that a prediction in the list shows. A seed or a mark is no name: such a job may be anybody's."""
        row = Row.of(fields)
        return row.token(self._entries.get(row.model))

    async def _marks(self, token: str, sent_at: datetime) -> Marks:
        files: list[dict[str, Any]] = []
        async with aclosing(self._reads.rows("/v1/files")) as listed:
            async for file in listed:
                made_at = moment(file.get("created_at"))
                if made_at is None or made_at >= sent_at - _CLOCK_SKEW:
                    files.append(file)
        return read_marks(files, token)


def moment(text: object) -> datetime | None:
    """A point in time as the API writes it; None when it is none."""
    try:
        read = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return read if read.tzinfo else None


def _created_after(since: datetime) -> str:
    earliest = (since.astimezone(UTC) - _CLOCK_SKEW).isoformat().replace("+00:00", "Z")
    return str(httpx.QueryParams({"created_after": earliest}))
