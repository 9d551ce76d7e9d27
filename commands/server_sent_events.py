"""Server-Sent Events: from lines to events, by the rules of the HTML standard that our API uses."""

from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerSentEvent:
    """One event; `id` is the last one that the stream named."""

    event: str
    data: str
    id: str


async def parse(lines: AsyncIterable[str]) -> AsyncGenerator[ServerSentEvent, None]:
    """The events in a stream of lines. Comments (keep-alives) are passed over, an event cut off at the end is dropped."""
    name, data, last_id = "", list[str](), ""
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "" if not line:
                if data:
                    yield ServerSentEvent(name or "message", "\n".join(data), last_id)
                name, data = "", []
            case "event":
                name = value
            case "data":
                data.append(value)
            case "id":
                last_id = value
