"""`python -m sandbox`: run the stand-in providers."""

import argparse
from pathlib import Path

import uvicorn

from sandbox.app import create_app
from sandbox.connections import DroppableHttp
from sandbox.settings import Options

KEEP_ALIVE_S = 75
"""Longer than any client's own idle time, so that a reused connection is never closed under a request."""
SHUTDOWN_S = 2
"""Held requests (Prefer: wait, images) are cut off this long after a polite stop."""


def main() -> None:
    """Run the server until it is stopped."""
    options = parse_options()
    uvicorn.run(
        create_app(options),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http=DroppableHttp,
        ws="none",
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=4096,
    )


def parse_options(arguments: list[str] | None = None) -> Options:
    """The command line as options."""
    parser = argparse.ArgumentParser("sandbox", description="Stand-ins for image providers.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--public-url", help="what outputs and files are addressed by; default: http://127.0.0.1:PORT")
    parser.add_argument("--drawing", choices=("full", "fast"), default="full")
    parser.add_argument("--duration", type=float, default=2.0, help="seconds that a job runs")
    parser.add_argument("--queue", type=float, default=0.1, help="seconds that a job waits before it runs")
    parser.add_argument("--creates-per-minute", type=_per_minute, default=600.0)
    parser.add_argument("--reads-per-minute", type=_per_minute, default=3000.0)
    parser.add_argument("--replicate-token", help="the only good token; default: any")
    parser.add_argument("--openai-key", help="the only good key; default: any")
    parser.add_argument("--getimg-key", help="the only good key; default: any")
    parser.add_argument("--wavespeed-key", help="the only good key; default: any")
    parser.add_argument("--webhook-secret", help="whsec_...; default: a random one, kept in the data folder")
    given = parser.parse_args(arguments)
    return Options(
        port=given.port,
        data_dir=given.data_dir,
        public_url=(given.public_url or f"http://127.0.0.1:{given.port}").rstrip("/"),
        drawing=given.drawing,
        duration_s=given.duration,
        queue_s=given.queue,
        creates_per_minute=given.creates_per_minute,
        reads_per_minute=given.reads_per_minute,
        replicate_token=given.replicate_token,
        openai_key=given.openai_key,
        getimg_key=given.getimg_key,
        wavespeed_key=given.wavespeed_key,
        webhook_secret=given.webhook_secret,
    )


def _per_minute(text: str) -> float | None:
    """A limit; None for `unlimited`."""
    return None if text == "unlimited" else float(text)


if __name__ == "__main__":
    main()
