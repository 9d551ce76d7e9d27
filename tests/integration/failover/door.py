"""A door before a server on this machine: while it is shut, nobody gets through, and those who try are refused at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Door:
    """Hands connections on to `port`. Its own port stays the same while it is open and shut in turn."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._listener: asyncio.Server | None = None
        self._inside: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        """Let connections through."""
        self._listener = await asyncio.start_server(self._hand_on, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse new connections, and break off those that there are."""
        assert self._listener is not None
        self._listener.close()
        for writer in self._inside:
            writer.transport.abort()
        async with asyncio.timeout(60):
            while self._inside:  # noqa: ASYNC110 each one sees by itself that it was broken off
                await asyncio.sleep(0.01)

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, away = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, away}
        self._inside |= both
        try:
            await asyncio.gather(_pour(reader, away), _pour(there, writer))
        finally:
            self._inside -= both
            for side in both:
                side.close()


@asynccontextmanager
async def open_door(port: int) -> AsyncIterator[Door]:
    """A door that is open, until the block ends."""
    door = Door(port)
    await door.open()
    try:
        yield door
    finally:
        await door.shut()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    if writer.can_write_eof() and not writer.is_closing():
        with contextlib.suppress(OSError):
            writer.write_eof()
