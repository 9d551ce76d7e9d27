"""The work behind tasks that cannot be told from the clock: fetching input pictures, and painting full drawings."""

import asyncio

from sandbox.clock import SandboxClock
from sandbox.painting import PaintBrief
from sandbox.pictures import Studio, halved, smaller
from sandbox.references import ReferenceStore, ReferenceUnavailable
from sandbox.wavespeed.intake import picture_addresses
from sandbox.wavespeed.task_book import TaskBook
from sandbox.wavespeed.tasks import Task
from sandbox.wavespeed.uploads import UploadShelf


class Production:
    """Runs one coroutine for each task that needs work; light ones (fast, no input pictures) need none."""

    def __init__(
        self, clock: SandboxClock, book: TaskBook, studio: Studio, references: ReferenceStore, uploads: UploadShelf
    ) -> None:
        self._clock = clock
        self._book = book
        self._studio = studio
        self._references = references
        self._uploads = uploads
        self._running: set[asyncio.Task[None]] = set()
        book.listen(self.begin)

    def resume(self) -> None:
        """Begin the work that a killed process left undone."""
        for task in self._book:
            self.begin(task)

    def begin(self, task: Task) -> None:
        """Start the work of a new task, if there is any."""
        if task.work_done_at is None:
            running = asyncio.get_running_loop().create_task(self._work(task))
            self._running.add(running)
            running.add_done_callback(self._running.discard)

    def picture(self, task: Task, index: int, *, half_size: bool = False) -> bytes | None:
        """A picture of a completed task: fast ones are painted now, the others were stored while it ran.

        `half_size` gives half the width and height. None when the picture was removed.
        """
        if task.drawing == "fast" and not task.enlarge_by:
            brief = _brief(task, index, ())
            return self._studio.paint_fast(smaller(brief) if half_size else brief)
        stored = self._studio.kept(_stored_name(task, index))
        return halved(stored) if stored and half_size else stored

    async def close(self) -> None:
        """Stop all work; it is resumed at the next start."""
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _work(self, task: Task) -> None:
        error: str | None = None
        kept: tuple[str, ...] = ()
        try:
            pictures = [await self._fetched(address) for address in picture_addresses(task.input)]
            kept = tuple(self._references.keep(picture) for picture in pictures)
            if task.drawing == "full" or task.enlarge_by:
                for index in range(task.count):
                    self._studio.keep(_stored_name(task, index), await self._make(task, index, pictures))
        except (ReferenceUnavailable, ValueError) as unusable:
            error = f"Failed to download image from the provided URL: {unusable}"
        self._book.finish_work(task, self._clock.now(), references=kept, error=error)

    async def _make(self, task: Task, index: int, pictures: list[bytes]) -> bytes:
        if task.enlarge_by:
            return await self._studio.enlarge(pictures[0], task.enlarge_by, task.output_format)
        return await self._studio.paint(_brief(task, index, tuple(pictures)))

    async def _fetched(self, address: str) -> bytes:
        uploaded = self._uploads.content_of(address)
        return uploaded if uploaded is not None else await self._references.fetch(address)


def _brief(task: Task, index: int, pictures: tuple[bytes, ...]) -> PaintBrief:
    return PaintBrief(
        prompt=task.directions.prompt,
        seed=f"{task.seed}/{index}" if index else task.seed,
        width=task.width,
        height=task.height,
        references=pictures,
        output_format=task.output_format,
        drawing=task.drawing,
    )


def _stored_name(task: Task, index: int) -> str:
    return f"{task.id}-{index}"
