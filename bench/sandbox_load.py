"""How many jobs a second the sandbox serves: create, get, download, over raw HTTP/1.1 with as little client work as possible.

python bench/sandbox_load.py --jobs 5000 --connections 50
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.sandbox_server import SandboxServer, start_sandbox

CREATE_PATH = "/replicate/v1/models/openai/gpt-image-2/predictions"


class Connection:
    """One keep-alive connection that sends a request and reads its answer; nothing more, so that the server is what is timed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of an answer that has a content-length."""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer bench\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        return int(answer[9:12]), await self._reader.readexactly(length)


async def one_job(connection: Connection, number: int) -> None:
    """Create, get until it is done, download."""
    body = json.dumps({"input": {"prompt": f"a mountain lake, number {number}", "user_id": f"u{number}"}}).encode()
    status, answer = await connection.request("POST", CREATE_PATH, body)
    if status != 201:
        raise RuntimeError(answer)
    path = urlsplit(json.loads(answer)["urls"]["get"]).path
    while True:
        output = json.loads((await connection.request("GET", path))[1]).get("output")
        if output:
            break
        await asyncio.sleep(0.01)
    status, picture = await connection.request("GET", urlsplit(output[0]).path)
    if status != 200 or len(picture) < 100:
        raise RuntimeError(f"download gave {status} with {len(picture)} bytes")


async def run(server: SandboxServer, jobs: int, connections: int) -> float:
    """Seconds that all jobs took."""
    numbers = iter(range(jobs))

    async def work() -> None:
        connection = Connection(*await asyncio.open_connection("127.0.0.1", server.port))
        for number in numbers:
            await one_job(connection, number)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    return time.perf_counter() - began


async def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        async with start_sandbox(Path(folder), duration=0) as server:
            await run(server, 500, given.connections)
            took = await run(server, given.jobs, given.connections)
            summary = (await server.summary())["replicate"]
    print(f"{given.jobs} jobs in {took:.2f} s: {given.jobs / took:.0f} jobs/s, limit 500; {summary}")


if __name__ == "__main__":
    asyncio.run(main())
