"""Following a generation: one reader of its event rows per process, however many clients watch it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from api.metrics import Metrics
from contracts.names import CHANNEL_ENDED, CHANNEL_EVENT
from contracts.statuses import Status
from db import events, lives
from db.engine import Database
from db.listener import Listener
from db.models import Event
from errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

REREAD_S = 15.0  # a notification can be lost while the listener reconnects; a row cannot
AWAY_S = 1.0
PAGE = 500
FINAL_TYPES = frozenset(f"generation.{status}" for status in Status if status.is_final)


@dataclass(frozen=True, slots=True)
class EventNote:
    """One event as it is told to clients."""

    seq: int
    type: str
    data: dict[str, Any]
    time: datetime

    @property
    def is_final(self) -> bool:
        """True for an event that tells of the generation's end."""
        return self.type in FINAL_TYPES


class _Tail:
    """All events of one generation so far, and a bell for those who wait for more."""

    def __init__(self) -> None:
        self.notes: list[EventNote] = []
        self.followers = 0
        self.rung = asyncio.Event()
        self.reader: asyncio.Task[None] | None = None
        self.has_ended = False

    def add(self, rows: Sequence[Event]) -> None:
        """Append what was read and wake everybody; each sleeper holds the bell it waits for."""
        for row in rows:
            note = EventNote(row.seq, row.type, row.data, row.created_at)
            self.notes.append(note)
            # What the reconciler finds after the end is told, too, and changes nothing about the end.
            self.has_ended = note.is_final or (self.has_ended and note.type != events.REOPENED)
        self.rung.set()
        self.rung = asyncio.Event()

    @property
    def last_seq(self) -> int:
        """The number of the newest event; numbers have no gaps, so it is their count too."""
        return self.notes[-1].seq if self.notes else 0


class Following:
    """Gives any number of clients the events of generations, in order, without gaps, each at its own pace."""

    def __init__(self, *, database: Database, listener: Listener, metrics: Metrics, stopping: asyncio.Event) -> None:
        self._database = database
        self._listener = listener
        self._metrics = metrics
        self._tails: dict[UUID, _Tail] = defaultdict(_Tail)
        self._stopping = stopping

    @property
    def is_stopping(self) -> bool:
        """True when streams end because this process does."""
        return self._stopping.is_set()

    async def follow(self, generation_id: UUID, after_seq: int) -> AsyncGenerator[EventNote, None]:
        """The events behind `after_seq`, as they come, up to the final one or the end of this process.

        No transaction and no connection is held between events.
        """
        tail = self._join(generation_id)
        try:
            position = after_seq
            while not self._stopping.is_set():
                bell = tail.rung
                for note in tail.notes[position:]:
                    position = note.seq
                    yield note
                if tail.has_ended and position >= tail.last_seq:
                    return
                if tail.rung is bell:
                    await self._wait(bell)
        finally:
            self._leave(generation_id, tail)

    async def until_final(self, generation_id: UUID) -> None:
        """Wait for the end of a generation, or of this process. Raises DatabaseUnavailable."""
        with self._listener.subscribe(CHANNEL_ENDED, str(generation_id)) as bell:
            while not self._stopping.is_set():
                bell.clear()
                async with self._database.statement() as session:
                    if await lives.has_ended(session, generation_id):
                        return
                with suppress(TimeoutError):
                    async with asyncio.timeout(REREAD_S):
                        await self._wait(bell)

    async def _wait(self, bell: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(bell.wait()), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _join(self, generation_id: UUID) -> _Tail:
        tail = self._tails[generation_id]
        tail.followers += 1
        self._metrics.followers.inc()
        if tail.reader is None:
            tail.reader = asyncio.create_task(self._read(generation_id, tail), name=f"follow-{generation_id}")
        return tail

    def _leave(self, generation_id: UUID, tail: _Tail) -> None:
        self._metrics.followers.dec()
        tail.followers -= 1
        if tail.followers == 0:
            self._tails.pop(generation_id, None)
            if tail.reader is not None:
                tail.reader.cancel()

    async def _read(self, generation_id: UUID, tail: _Tail) -> None:
        with self._listener.subscribe(CHANNEL_EVENT, str(generation_id)) as woken:
            while True:
                woken.clear()  # before reading, so that what comes meanwhile is read the next time
                try:
                    async with self._database.statement() as session:
                        rows = await self._news(session, generation_id, tail.last_seq)
                except DatabaseUnavailable:
                    log.warning("follow.postponed", generation=str(generation_id))
                    await asyncio.sleep(AWAY_S)
                    continue
                except Exception:  # a dead reader would leave its followers waiting for ever
                    log.exception("follow.broken", generation=str(generation_id))
                    await asyncio.sleep(AWAY_S)
                    continue
                if rows:
                    tail.add(rows)
                    if len(rows) == PAGE:
                        continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(REREAD_S):
                        await woken.wait()

    @staticmethod
    async def _news(session: AsyncSession, generation_id: UUID, last_seq: int) -> Sequence[Event]:
        return await events.after(session, generation_id, last_seq, limit=PAGE)
