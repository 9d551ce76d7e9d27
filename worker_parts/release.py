"""Which release of the worker this process is, and how that release comes to its turn."""

import asyncio
from contextlib import AbstractAsyncContextManager

import structlog
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from background import in_background
from engine.worker_versions import WorkerVersions
from errors import EngineUnavailable, NotFound, WorkerVersionNotReady

ASK_AGAIN_S = 1.0

log = structlog.get_logger(__name__)


def release_of(deployment: str, build_id: str | None) -> WorkerDeploymentConfig | None:
    """What the engine is told about a worker of this release; None: workers of all releases share all runs.

    A run stays with the release that began it, except where its workflow says otherwise.
    """
    if build_id is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def coming_to_its_turn(
    versions: WorkerVersions, build_id: str, *, promotes_itself: bool
) -> AbstractAsyncContextManager[None]:
    """While the block runs, see to it that this release gets the new runs, or say that somebody must promote it."""
    return in_background(_come_to_turn(versions, build_id, promotes_itself=promotes_itself), name="release")


async def _come_to_turn(versions: WorkerVersions, build_id: str, *, promotes_itself: bool) -> None:
    while True:
        try:
            if promotes_itself and await versions.promote_when_new(build_id):
                log.info("worker.promoted", build_id=build_id)
            status = (await versions.one(build_id)).status
        except (EngineUnavailable, NotFound, WorkerVersionNotReady):  # its first poll has not arrived there yet
            await asyncio.sleep(ASK_AGAIN_S)
        else:
            log.info("worker.release", build_id=build_id, status=status)
            if status == "inactive":
                log.warning("worker.waits_for_promotion", command=f"diorama worker-versions promote {build_id}")
            return
