"""Where output files are fetched and uploads are put: addresses that need no key, and know no rate limit."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from sandbox.answers import Answer
from sandbox.clock import SandboxClock
from sandbox.delivery import CHUNKS_PER_S, DeliveryDialect
from sandbox.keys import Keys
from sandbox.pictures import corrupted
from sandbox.wavespeed.production import Production
from sandbox.wavespeed.task_book import TaskBook
from sandbox.wavespeed.tasks import Task
from sandbox.wavespeed.uploads import UploadShelf
from sandbox.wire import Call, Refusal

_MISSING: Final = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


class StorageDialect(DeliveryDialect):
    """The host of WaveSpeed's files."""

    provider = "wavespeed"


@dataclass(frozen=True, slots=True)
class OutputHandlers:
    """What the endpoints of the file host do."""

    clock: SandboxClock
    keys: Keys
    book: TaskBook
    production: Production
    uploads: UploadShelf

    async def read(self, call: Call) -> str:
        """Find the task whose file is asked for; its prompt."""
        task = self.book.get(call.path["id"])
        if task is None or call.path["secret"] != self.keys.address(task.id):
            raise Refusal(_missing())
        call.fields, call.job_id, call.directions = task, task.id, task.directions
        return task.raw_prompt

    async def output(self, call: Call) -> Answer:
        """GET /wavespeed/outputs/{secret}/{id}/{index}.{suffix}."""
        task: Task = call.fields
        number = call.path["file"].partition(".")[0]
        ready = task.status(call.now) == "completed" and not task.expired(call.now) and not task.fate.empty
        if not ready or not number.isdecimal() or int(number) >= task.count or call.fault("delivery_404"):
            return _missing()
        picture = self.production.picture(task, int(number), half_size=call.fault("wrong_size") is not None)
        if picture is None:
            return _missing()
        if call.fault("corrupt_image"):
            picture = corrupted(picture)
        answer = Answer(200, picture, f"image/{task.output_format}")
        if fault := call.fault("cut_download"):
            answer.cut_after = int(fault.number("after_bytes", len(picture) // 2))
        elif fault := call.fault("slow_download"):
            answer.chunks = self._slowly(picture, fault.number("bytes_per_s", 1024))
        return answer

    async def put(self, call: Call) -> Answer:
        """PUT /wavespeed/media/{name}/{file}: only with a ticket, and only what the ticket was made for."""
        stored = self.uploads.put(call.path["name"], call.body)
        return Answer(200) if stored else Answer(403, b"<Error><Code>AccessDenied</Code></Error>", "application/xml")

    async def _slowly(self, picture: bytes, bytes_per_s: float) -> AsyncIterator[bytes]:
        step = max(1, int(bytes_per_s / CHUNKS_PER_S))
        for start in range(0, len(picture), step):
            yield picture[start : start + step]
            await self.clock.sleep(step / bytes_per_s)


def _missing() -> Answer:
    return Answer(404, _MISSING, "application/xml")
