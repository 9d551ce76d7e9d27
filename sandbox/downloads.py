"""A finished picture on its way to whoever bought it: whole, or as the faults of the moment have it."""

from collections.abc import AsyncIterator

from sandbox.answers import Answer
from sandbox.clock import SandboxClock
from sandbox.pictures import corrupted, halved
from sandbox.wire import Call

CHUNKS_PER_S = 10
"""A slow download is sent in this many pieces a second."""


def picture_answer(call: Call, clock: SandboxClock, picture: bytes, media_type: str) -> Answer:
    """The picture: at half its size, unreadable, cut off or slow if the call's faults say so."""
    if call.fault("wrong_size"):
        picture = halved(picture)
    if call.fault("corrupt_image"):
        picture = corrupted(picture)
    answer = Answer(200, picture, media_type)
    if fault := call.fault("cut_download"):
        answer.cut_after = int(fault.number("after_bytes", len(picture) // 2))
    elif fault := call.fault("slow_download"):
        answer.chunks = _slowly(clock, picture, fault.number("bytes_per_s", 1024))
    return answer


async def _slowly(clock: SandboxClock, picture: bytes, bytes_per_s: float) -> AsyncIterator[bytes]:
    step = max(1, int(bytes_per_s / CHUNKS_PER_S))
    for start in range(0, len(picture), step):
        yield picture[start : start + step]
        await clock.sleep(step / bytes_per_s)
