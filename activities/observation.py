"""What operators see of the activities: log lines that name the generation, and counters for Prometheus."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from temporalio import activity

from activities.failures import PurchaseEnded
from contracts.pictures import PictureOrder
from errors import DioramaError

# Pictures take from one second (drafts) to some minutes.
SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640)


class PictureMetrics:
    """Counters of one worker process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        words = ["provider", "model", "step", "outcome"]
        self.attempts = Counter("diorama_picture_attempts", "Attempts to make a picture", words, registry=registry)
        self.seconds = Histogram(
            "diorama_picture_seconds",
            "From the begin of an attempt to its end",
            ["provider", "model"],
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("diorama_pictures_in_flight", "Pictures being made", ["provider"], registry=registry)

    @contextmanager
    def counted(self, order: PictureOrder) -> Iterator[None]:
        """Count this attempt by how it ends: `made`, an error's code, or `interrupted`."""
        provider, model = order.candidate.provider, order.candidate.model
        begun, outcome = time.perf_counter(), "interrupted"
        with self.in_flight.labels(provider).track_inprogress():
            try:
                yield
                outcome = "made"
            except PurchaseEnded as ended:
                outcome = ended.failure.code
                raise
            except DioramaError as error:
                outcome = error.code
                raise
            finally:
                step = order.step.value.partition("-")[0]  # all variants are one
                self.attempts.labels(provider, model, step, outcome).inc()
                self.seconds.labels(provider, model).observe(time.perf_counter() - begun)


@contextmanager
def named(generation_id: UUID, **words: object) -> Iterator[None]:
    """Put the generation, its workflow's run and its trace on every log line of this block.

    A generation's id has 128 bits, as a W3C trace id has: so it is the trace id, and no second number is needed.
    """
    info = activity.info()
    with structlog.contextvars.bound_contextvars(
        generation=str(generation_id),
        trace_id=generation_id.hex,
        workflow=info.workflow_id,
        run=info.workflow_run_id,
        attempt=info.attempt,
        **words,
    ):
        yield
