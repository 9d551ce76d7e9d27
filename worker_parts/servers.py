"""The servers that the worker needs: the object store, opened as soon as it answers, and the engine's client library."""

from contextlib import AsyncExitStack

from temporalio.runtime import LoggingConfig, PrometheusConfig, Runtime, TelemetryConfig, TelemetryFilter

from config import Settings
from fault_points import fault_points
from storage.base import ObjectStorage
from storage.minio_storage import MinioStorage
from storage.with_fault_points import StorageWithFaultPoints
from worker_parts.start import when_it_answers


async def open_storage(settings: Settings, stack: AsyncExitStack) -> ObjectStorage:
    """The object store, with its bucket made, as soon as it answers."""
    storage = MinioStorage(
        endpoint=settings.store_endpoint,
        access_key=settings.store_access_key,
        secret_key=settings.store_secret_key.get_secret_value(),
        bucket=settings.store_bucket,
        public_url=settings.store_public_url,
    )
    stack.push_async_callback(storage.close)
    await when_it_answers("store", storage.prepare)
    if settings.crash_lab is None:
        return storage
    return StorageWithFaultPoints(storage, fault_points(settings.crash_lab, "worker"))


def make_runtime(settings: Settings) -> Runtime:
    """Temporal's own metrics, for Prometheus, when a port for them is set."""
    port = settings.worker_engine_metrics_port
    metrics = PrometheusConfig(bind_address=f"127.0.0.1:{port}", durations_as_seconds=True) if port else None
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR"))
    return Runtime(telemetry=TelemetryConfig(metrics=metrics, logging=quiet))
