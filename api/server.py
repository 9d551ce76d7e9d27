"""The HTTP server: uvicorn, which at its end first ends the event streams that would otherwise hold it open."""

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp

from api.bounded_http import BoundedHttpProtocol

GRACE_S = 10  # for requests in flight; streams end at once


class StreamEndingServer(uvicorn.Server):
    """A server whose shutdown does not wait for clients that follow events: they come back with Last-Event-ID."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for requests in flight."""
        self._stopping.set()
        await super().shutdown(sockets)


def build_server(
    app: ASGIApp, *, host: str, port: int, stopping: asyncio.Event, trusted_proxies: str = "127.0.0.1"
) -> StreamEndingServer:
    """A server for this application, ready to `run()` or `serve()`; `stopping` is set when it begins to end.

    `trusted_proxies`: addresses or networks, by comma, whose `X-Forwarded-For` is believed.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",  # with httptools twice the throughput of the defaults, measured
        http=BoundedHttpProtocol,  # on httptools
        access_log=False,  # api/observation.py writes one line a request, without query strings
        log_config=None,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        forwarded_allow_ips=trusted_proxies,
    )
    return StreamEndingServer(config, stopping)
