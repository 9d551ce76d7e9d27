"""Everything of getimg that lives as long as the process."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from sandbox.charges import ChargeLedger
from sandbox.clock import SandboxClock
from sandbox.getimg.account import AccountRoutes
from sandbox.getimg.errors import GetimgDialect
from sandbox.getimg.generations import GenerationRoutes
from sandbox.getimg.job_book import JobBook
from sandbox.getimg.media import MediaRoutes
from sandbox.getimg.models import load_range
from sandbox.getimg.routes import getimg_routes
from sandbox.json_text import Json
from sandbox.keys import Keys
from sandbox.pictures import Studio
from sandbox.record_log import RecordLog
from sandbox.references import ReferenceStore
from sandbox.settings import Settings
from sandbox.wire import Desk


class GetimgParts:
    """getimg, wired from what all providers of the sandbox share; `key` None: any will do."""

    def __init__(
        self,
        *,
        public_url: str,
        key: str | None,
        settings: Settings,
        keys: Keys,
        log: RecordLog,
        clock: SandboxClock,
        ledger: ChargeLedger,
        studio: Studio,
        references: ReferenceStore,
    ) -> None:
        self.dialect = GetimgDialect(settings, key)
        self._jobs = JobBook(log, ledger, clock)
        on_sale = load_range()
        self._account = AccountRoutes(clock, ledger, on_sale)
        self._media = MediaRoutes(clock, keys, self._jobs, studio)
        self._generations = GenerationRoutes(
            public_url=public_url,
            clock=clock,
            settings=settings,
            keys=keys,
            on_sale=on_sale,
            jobs=self._jobs,
            studio=studio,
            references=references,
        )

    def routes(self, desk: Desk) -> Sequence[BaseRoute]:
        """The endpoints of the API and of the host of its pictures."""
        return getimg_routes(desk, self.dialect, self._generations, self._account, self._media)

    def jobs(self) -> list[Json]:
        """All jobs, oldest first, for the admin's eyes."""
        return self._jobs.shown()

    def erase(self) -> None:
        """Forget every job."""
        self._jobs.erase()
