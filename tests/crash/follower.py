"""A client that follows a generation by server-sent events, and loses the connection now and then."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx

from contracts.statuses import Status
from tests.crash.asked import Followed
from tests.crash.patient_http import NO_ANSWER

LAST_EVENTS = frozenset(f"generation.{status}" for status in Status if status.is_final)
LOSES_CONNECTION = 0.15  # after each event
GONE = frozenset({204, 404})  # the end was seen before, or the session was deleted


async def follow(http: httpx.AsyncClient, generation_id: str, followed: Followed, luck: random.Random) -> None:
    """Follow to the end, coming back with Last-Event-ID after each loss; write down what was seen."""
    from_the_start = luck.random() < 0.5
    while not followed.saw_end:
        last = followed.seqs[-1] if followed.seqs else followed.after_seq
        known = last > 0 or from_the_start
        try:
            async with http.stream(
                "GET", f"/v1/generations/{generation_id}/events", headers={"Last-Event-ID": str(last)} if known else {}
            ) as answer:
                if answer.status_code in GONE:
                    followed.saw_end = True
                elif answer.is_success:
                    await _listen(answer, followed, luck)
        except NO_ANSWER:
            pass
        await asyncio.sleep(luck.uniform(0.05, 0.5))


async def _listen(answer: httpx.Response, followed: Followed, luck: random.Random) -> None:
    async with aclosing(_frames(answer)) as frames:
        async for kind, seq in frames:
            if kind == "snapshot":
                followed.after_seq = seq
            else:
                followed.seqs.append(seq)
            followed.saw_end = followed.saw_end or kind in LAST_EVENTS
            if luck.random() < LOSES_CONNECTION:
                return


async def _frames(answer: httpx.Response) -> AsyncGenerator[tuple[str, int]]:
    """(type, number) of each event."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, colon, value = line.partition(":")
        if line and colon and name:
            fields[name] = value.strip()
        elif not line and "event" in fields:
            yield fields["event"], int(fields["id"])
            fields = {}
