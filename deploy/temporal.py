"""The Temporal dev server, tuned, as a service of the stack."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from deploy.binaries import temporal_program
from deploy.failures import NotReadyYet
from deploy.health import answers_ok, fetch
from deploy.service import Service
from deploy.stack_ports import LOOPBACK

NAMESPACE = "default"
SEARCH_ATTRIBUTES = ("DioramaStatus", "DioramaKind", "DioramaTenant")
# As shipped a two-picture chain takes 88 ms and 21 chains/s; with these 32 ms and 44/s (2 cores).
DYNAMIC_CONFIGURATION = {
    # With the default of 4, tasks of under-polled partitions wait up to 5 s; strict priority and fairness need 1.
    "matching.numTaskqueueReadPartitions": 1,
    "matching.numTaskqueueWritePartitions": 1,
    # Off by default; tenants share by it.
    "matching.enableFairness": "true",
    # The default of 20/s on the single shard puts every hop on a 50 ms grid.
    "history.transferProcessorMaxPollRPS": 2_000,
    "history.timerProcessorMaxPollRPS": 2_000,
    "history.transferProcessorMaxPollHostRPS": 10_000,
    "history.timerProcessorMaxPollHostRPS": 10_000,
    # The limiters would be reached before the processor is.
    "frontend.rps": 100_000,
    "frontend.namespaceRPS": 100_000,
    "frontend.namespaceCount": 100_000,
    "history.rps": 100_000,
    "matching.rps": 100_000,
    "frontend.persistenceMaxQPS": 100_000,
    "history.persistenceMaxQPS": 100_000,
    "matching.persistenceMaxQPS": 100_000,
}


def temporal_service(folder: Path, *, ports: Mapping[str, int], environment: Mapping[str, str]) -> Service:
    """The engine and its Web UI; history survives restarts. Raises BinaryMissing."""
    return Service(
        name="temporal",
        command=(temporal_program(), "server", "start-dev", *_arguments(ports)),
        environment=environment,
        folder=folder,
        ready=partial(_ready, ports),
        ports=frozenset({"temporal", "temporal_http", "temporal_ui", "temporal_metrics"}),
        grace_s=8,
    )


def _arguments(ports: Mapping[str, int]) -> list[str]:
    """The file is named relative to the service's folder: a path may hold characters that mean something in a DSN."""
    listening = {
        "--ip": LOOPBACK,
        "--port": ports["temporal"],
        "--http-port": ports["temporal_http"],
        "--ui-port": ports["temporal_ui"],
        "--metrics-port": ports["temporal_metrics"],
    }
    arguments = [str(word) for pair in listening.items() for word in pair]
    # The default is a rollback journal with a full sync at each commit.
    arguments += ["--db-filename", "temporal.db"]
    arguments += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"]
    for name, value in DYNAMIC_CONFIGURATION.items():
        arguments += ["--dynamic-config-value", f"{name}={value}"]
    for name in SEARCH_ATTRIBUTES:
        arguments += ["--search-attribute", f"{name}=Keyword"]
    # Only our flags count, not what the user's CLI is configured for; and nothing is fetched from outside.
    private = ["--disable-config-file", "--disable-config-env", "--ui-disable-news-fetch"]
    return [*arguments, "--log-level", "error", *private]


async def _ready(ports: Mapping[str, int]) -> None:
    """Ready means: the namespace is there, our search attributes are registered, and the UI serves."""
    path = f"/api/v1/namespaces/{NAMESPACE}/search-attributes"
    answer = await fetch(f"http://{LOOPBACK}:{ports['temporal_http']}{path}")
    known = answer.json().get("customAttributes", {})
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known]
    if missing:
        raise NotReadyYet(f"search attributes are not registered yet: {', '.join(missing)}")
    await answers_ok(f"http://{LOOPBACK}:{ports['temporal_ui']}/")
