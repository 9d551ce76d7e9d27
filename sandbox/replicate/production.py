"""The work behind predictions that cannot be told from the clock: fetching input pictures and painting full drawings."""

import asyncio
import re
from dataclasses import replace
from typing import Final

from sandbox.clock import SandboxClock
from sandbox.painting import PaintBrief
from sandbox.pictures import Studio, halved, smaller
from sandbox.references import ReferenceStore, ReferenceUnavailable, decode_data_uri, is_data_uri
from sandbox.replicate.files import FileShelf
from sandbox.replicate.input_pictures import InputTooLarge, check_size, followed_size, sketch_lines
from sandbox.replicate.intake import reference_addresses
from sandbox.replicate.prediction_book import PredictionBook
from sandbox.replicate.predictions import Prediction

_UPLOADED: Final = re.compile(r"/replicate/v1/files/([a-z2-7]{26})(?:/download)?(?:\?|$)")
_SHELVED: Final = re.compile(r"/delivery/inputs/([0-9a-f]{64})$")


class Production:
    """Runs a task for each prediction that needs work; light predictions (fast, no input pictures) need none."""

    def __init__(
        self, clock: SandboxClock, book: PredictionBook, studio: Studio, references: ReferenceStore, files: FileShelf
    ) -> None:
        self._clock = clock
        self._book = book
        self._studio = studio
        self._references = references
        self._files = files
        self._tasks: set[asyncio.Task[None]] = set()
        book.listen(self.begin)

    def resume(self) -> None:
        """Begin the work that a killed process left undone."""
        for prediction in self._book:
            self.begin(prediction)

    def begin(self, prediction: Prediction) -> None:
        """Start the work of a new prediction, if there is any."""
        if prediction.work_done_at is None and prediction.canceled_at is None:
            task = asyncio.get_running_loop().create_task(self._work(prediction))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def picture(self, prediction: Prediction, index: int, *, half_size: bool = False) -> bytes | None:
        """A picture of a success: fast ones are painted now, the others were stored while the prediction ran.

        `half_size` gives half the width and height. None when the picture was removed.
        """
        if prediction.plan.drawing == "fast" and not prediction.plan.is_made_from_input:
            brief = self._brief(prediction, index, ())
            return self._studio.paint_fast(smaller(brief) if half_size else brief)
        stored = self._studio.kept(_stored_name(prediction, index))
        return halved(stored) if stored and half_size else stored

    async def close(self) -> None:
        """Stop all work; it is resumed at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, prediction: Prediction) -> None:
        error: str | None = None
        kept: tuple[str, ...] = ()
        try:
            pictures = [await self._reference(address) for address in reference_addresses(prediction.input)]
            kept = tuple(self._references.keep(picture) for picture in pictures)
            if prediction.plan.most_input_pixels and pictures:
                check_size(pictures[0], prediction.plan.most_input_pixels)
            if prediction.plan.drawing == "full" or prediction.plan.is_made_from_input:
                for index in range(prediction.plan.count):
                    picture = await self._make(prediction, index, pictures)
                    self._studio.keep(_stored_name(prediction, index), picture)
        except (ReferenceUnavailable, InputTooLarge) as refused:
            error = refused.reason
        except ValueError as unreadable:
            error = f"cannot identify image file: {unreadable}"
        self._book.finish_work(prediction, self._clock.now(), references=kept, error=error)

    async def _make(self, prediction: Prediction, index: int, pictures: list[bytes]) -> bytes:
        plan = prediction.plan
        if plan.enlarge_by:
            return await self._studio.enlarge(pictures[0], plan.enlarge_by, plan.output_format)
        brief = self._brief(prediction, max(0, index - plan.leading), tuple(pictures))
        if plan.follows:
            width, height = followed_size(plan, pictures[0])
            brief = replace(brief, width=width, height=height)
        if index < plan.leading:
            size = brief.width, brief.height
            return await asyncio.to_thread(sketch_lines, pictures[0], size, plan.output_format)
        return await self._studio.paint(brief)

    @staticmethod
    def _brief(prediction: Prediction, index: int, pictures: tuple[bytes, ...]) -> PaintBrief:
        plan = prediction.plan
        return PaintBrief(
            prompt=prediction.directions.prompt,
            seed=f"{prediction.seed}/{index}" if index else prediction.seed,
            width=plan.width,
            height=plan.height,
            references=pictures,
            output_format=plan.output_format,
            drawing=plan.drawing,
        )

    async def _reference(self, address: str) -> bytes:
        if is_data_uri(address):
            return decode_data_uri(address)
        if uploaded := _UPLOADED.search(address):
            content = self._files.content(uploaded[1])
            if content is None:
                raise ReferenceUnavailable(f"404 Client Error: Not Found for url: {address}")
            return content
        if (shelved := _SHELVED.search(address)) and (kept := self._references.kept(shelved[1])) is not None:
            return kept
        return await self._references.fetch(address)


def _stored_name(prediction: Prediction, index: int) -> str:
    return f"{prediction.id}-{index}"
