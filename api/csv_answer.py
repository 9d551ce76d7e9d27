"""Answers as CSV (RFC 4180) that can be opened in a spreadsheet without harm, of any length in little memory."""

import csv
import io
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import IO, Final
from uuid import UUID

from fastapi.responses import StreamingResponse

MEDIA_TYPE: Final = "text/csv"
# Beyond it, an answer waits on disk for its client.
IN_MEMORY_BYTES: Final = 4 * 1024 * 1024
CHUNK_BYTES: Final = 64 * 1024
# What spreadsheets take for the begin of a formula, as they are and in their wide forms.
FORMULAS: Final = tuple("=+-@\t\r\n＝＋－＠")

Cell = str | int | Decimal | datetime | UUID | None


def csv_line(cells: Sequence[Cell]) -> bytes:
    """One line. Text that a spreadsheet would take for a formula gets a `'` before it; numbers stay as they are."""
    line = io.StringIO()
    csv.writer(line).writerow([_written(cell) for cell in cells])
    return line.getvalue().encode()


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(FORMULAS) else cell
    if isinstance(cell, datetime):
        return cell.isoformat()
    return f"{cell:f}" if isinstance(cell, Decimal) else str(cell)


async def csv_answer(header: Sequence[str], rows: AsyncIterable[Sequence[Cell]], *, filename: str) -> StreamingResponse:
    """All rows as a file to save.

    The rows are read to their end before the answer begins: a trouble still gets its own status, and a client that reads
    slowly keeps no transaction open. `filename` needs no escaping in a header.
    """
    spool = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 the answer closes it
    try:
        spool.write(csv_line(header))
        async for row in rows:
            spool.write(csv_line(row))
    except BaseException:
        spool.close()
        raise
    headers = {"Content-Length": str(spool.tell()), "Content-Disposition": f'attachment; filename="{filename}"'}
    spool.seek(0)
    return StreamingResponse(_chunks(spool), 200, headers, media_type=MEDIA_TYPE)


async def _chunks(spool: IO[bytes]) -> AsyncIterator[bytes]:
    with spool:
        while chunk := spool.read(CHUNK_BYTES):
            yield chunk


def wants_csv(accept: str | None) -> bool:
    """Whether an Accept header asks for CSV, and not for JSON besides."""
    named = {part.partition(";")[0].strip().lower() for part in (accept or "").split(",")}
    return MEDIA_TYPE in named and "application/json" not in named
