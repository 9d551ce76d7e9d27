"""Painting pictures without keeping the server waiting: fast ones inline, full ones in processes of their own."""

import asyncio
import io
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from PIL import Image

from sandbox.painting import PaintBrief, paint

PAINTERS: Final = 2
"""Processes that paint: a full scene takes up to 2 s of CPU."""
MAX_ENLARGED_SIDE: Final = 4096


class Studio:
    """Paints. The painters start with the first full drawing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._pool: ProcessPoolExecutor | None = None

    def paint_fast(self, brief: PaintBrief) -> bytes:
        """The encoded picture of a brief for a fast drawing, well under a millisecond."""
        return paint(brief)

    async def paint(self, brief: PaintBrief) -> bytes:
        """The encoded picture. Raises ValueError when a reference is no picture."""
        if brief.drawing == "fast":
            return self.paint_fast(brief)
        return await asyncio.get_running_loop().run_in_executor(self._painters(), paint, brief)

    async def enlarge(self, picture: bytes, factor: float, output_format: str) -> bytes:
        """The given picture, scaled up. Raises ValueError when it is no picture."""
        return await asyncio.to_thread(_enlarge, picture, factor, output_format)

    def keep(self, name: str, picture: bytes) -> None:
        """Store a painted picture until the sandbox is reset."""
        (self._folder / name).write_bytes(picture)

    def kept(self, name: str) -> bytes | None:
        """A stored picture."""
        path = self._folder / name
        return path.read_bytes() if path.exists() else None

    def erase(self) -> None:
        """Forget stored pictures."""
        for path in self._folder.iterdir():
            path.unlink()

    def close(self) -> None:
        """End the painters."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _painters(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not fork: the server's threads and sockets must not be copied into the painters.
            self._pool = ProcessPoolExecutor(
                PAINTERS, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
            )
        return self._pool


def smaller(brief: PaintBrief) -> PaintBrief:
    """The same picture at half the width and height: what a provider sends that gets the size wrong."""
    return replace(brief, width=max(16, brief.width // 2), height=max(16, brief.height // 2))


def halved(picture: bytes) -> bytes:
    """An encoded picture at half its width and height."""
    with Image.open(io.BytesIO(picture)) as image:
        small = image.resize((max(1, image.width // 2), max(1, image.height // 2)))
        return _encoded(small, (image.format or "PNG").lower())


def blurred(picture: bytes, factor: int) -> bytes:
    """An encoded picture of the same size with its detail removed: what is shown while a picture is being made."""
    with Image.open(io.BytesIO(picture)) as image:
        small = image.resize((max(1, image.width // (8 * factor)), max(1, image.height // (8 * factor))))
        return _encoded(small.resize(image.size, Image.Resampling.BICUBIC), (image.format or "PNG").lower())


def corrupted(picture: bytes) -> bytes:
    """Bytes of the same length and file signature that do not decode."""
    start = 12  # the signature only: a spared size field would make some formats announce a picture of terapixels
    return picture[:start] + b"\x5a" * max(0, len(picture) - start)


def _enlarge(picture: bytes, factor: float, output_format: str) -> bytes:
    try:
        with Image.open(io.BytesIO(picture)) as image:
            factor = min(max(factor, 1.0), MAX_ENLARGED_SIDE / max(image.size))
            size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
            return _encoded(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), output_format)
    except OSError as error:
        raise ValueError("cannot identify image file") from error


def _encoded(image: Image.Image, output_format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, output_format)
    return buffer.getvalue()


def _end_with_parent() -> None:
    """Make this process end when the server does, even if the server was killed."""
    threading.Thread(target=_await_parent_and_end, daemon=True).start()


def _await_parent_and_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
