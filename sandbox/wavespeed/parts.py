"""WaveSpeed's part of the sandbox, wired: what lives as long as the process, and its routes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.routing import BaseRoute

from sandbox.charges import ChargeLedger
from sandbox.clock import SandboxClock
from sandbox.faults import FaultBoard
from sandbox.json_text import Json
from sandbox.keys import Keys
from sandbox.pictures import Studio
from sandbox.record_log import RecordLog
from sandbox.references import ReferenceStore
from sandbox.settings import Settings
from sandbox.wavespeed.errors import WaveSpeedDialect
from sandbox.wavespeed.handlers import TaskHandlers
from sandbox.wavespeed.intake import Intake
from sandbox.wavespeed.models import load_wavespeed_models
from sandbox.wavespeed.outputs import OutputHandlers
from sandbox.wavespeed.production import Production
from sandbox.wavespeed.rendering import TaskRenderer
from sandbox.wavespeed.routes import wavespeed_routes
from sandbox.wavespeed.task_book import TaskBook
from sandbox.wavespeed.uploads import UploadShelf
from sandbox.wavespeed.webhooks import TaskWebhooks
from sandbox.wire import Desk


@dataclass(frozen=True, slots=True)
class Shared:
    """What the providers of the sandbox have in common."""

    data_dir: Path
    public_url: str
    settings: Settings
    keys: Keys
    log: RecordLog
    clock: SandboxClock
    faults: FaultBoard
    ledger: ChargeLedger
    studio: Studio
    references: ReferenceStore


class WaveSpeedParts:
    """WaveSpeed's tasks, uploads and webhooks."""

    def __init__(self, shared: Shared, key: str | None) -> None:
        self._shared = shared
        self.dialect = WaveSpeedDialect(shared.settings, key)
        self._book = TaskBook(shared.log, shared.ledger)
        self._renderer = TaskRenderer(shared.public_url, shared.keys)
        self._uploads = UploadShelf(shared.data_dir / "wavespeed-uploads", shared.log, shared.clock, shared.public_url)
        self._production = Production(shared.clock, self._book, shared.studio, shared.references, self._uploads)
        self._webhooks = TaskWebhooks(
            clock=shared.clock,
            log=shared.log,
            settings=shared.settings,
            faults=shared.faults,
            keys=shared.keys,
            book=self._book,
            renderer=self._renderer,
        )

    def start(self) -> None:
        """Go on with what a killed process left undone."""
        self._production.resume()
        self._webhooks.start()

    async def stop(self) -> None:
        """End all that runs."""
        await self._webhooks.close()
        await self._production.close()

    def erase(self) -> None:
        """Forget all tasks and uploads."""
        self._webhooks.erase()
        self._book.erase()
        self._uploads.erase()

    def routes(self, desk: Desk) -> Sequence[BaseRoute]:
        """All its endpoints."""
        shared, on_sale = self._shared, load_wavespeed_models()
        tasks = TaskHandlers(
            on_sale=on_sale,
            intake=Intake(on_sale, shared.settings),
            book=self._book,
            renderer=self._renderer,
            uploads=self._uploads,
            keys=shared.keys,
        )
        outputs = OutputHandlers(shared.clock, shared.keys, self._book, self._production, self._uploads)
        return wavespeed_routes(desk, self.dialect, tasks, outputs)

    def jobs(self, now: float) -> Iterator[Json]:
        """All tasks for the admin's eyes."""
        return (
            {
                "id": task.id,
                "provider": "wavespeed",
                "model": task.model,
                "status": task.status(now),
                "prompt": task.raw_prompt,
                "size": f"{task.width}x{task.height}",
                "created_at": task.created_at,
                "ends_at": task.ends_at() if task.ends_at() != float("inf") else None,
                "webhook": task.webhook,
            }
            for task in self._book
        )

    def webhooks(self) -> list[Json]:
        """The newest deliveries of webhooks, oldest first."""
        return self._webhooks.told()
