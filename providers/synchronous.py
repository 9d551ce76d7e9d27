"""What all providers share that answer a purchase with the picture itself."""

from collections.abc import AsyncGenerator
from datetime import datetime

from errors import ProviderError
from providers.base import JobReport, ListedJob, LostJob, RemoteFile


class SynchronousProvider:
    """The half of `ImageProvider` that asks about jobs, for a vendor that keeps none and lists nothing that it made."""

    name: str
    synchronous = True

    async def poll(self, job_id: str) -> JobReport:
        """Never called: a synchronous answer has no job. Raises ProviderError saying so."""
        raise self._no_jobs()

    async def cancel(self, job_id: str) -> JobReport:
        """Never called, like `poll`."""
        raise self._no_jobs()

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        """It lists no pictures, and keeps no mark of ours: whether one was made cannot be known."""
        return LostJob(None, conclusive=False)

    async def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        """Nothing: it lists no pictures."""
        none: tuple[ListedJob, ...] = ()
        for job in none:
            yield job

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        """Never called: the picture came with the purchase. Raises ProviderError saying so."""
        raise self._no_jobs()

    def _no_jobs(self) -> ProviderError:
        return ProviderError(f"{self.name} answers with the picture itself: there is no job to ask about.")
