"""A provider with a fault point before and after each call that changes something there; built only in the crash lab."""

from collections.abc import AsyncGenerator
from datetime import datetime

from fault_points import Reach
from providers.base import FinishedPicture, ImageProvider, JobReport, ListedJob, LostJob, Purchase, RemoteFile


class ProviderWithFaultPoints:
    """Another provider, behind the points `provider.submit` and `provider.cancel`, its name in front."""

    def __init__(self, inner: ImageProvider, reach: Reach) -> None:
        self.name = inner.name
        self.synchronous = inner.synchronous
        self.submit_timeout_s = inner.submit_timeout_s
        self._inner = inner
        self._reach = reach

    async def submit(self, purchase: Purchase) -> JobReport | FinishedPicture:
        """See ImageProvider."""
        self._reach(f"{self.name}.submit:before")
        answer = await self._inner.submit(purchase)
        self._reach(f"{self.name}.submit:after")
        return answer

    async def poll(self, job_id: str) -> JobReport:
        """See ImageProvider."""
        return await self._inner.poll(job_id)

    async def cancel(self, job_id: str) -> JobReport:
        """See ImageProvider."""
        self._reach(f"{self.name}.cancel:before")
        report = await self._inner.cancel(job_id)
        self._reach(f"{self.name}.cancel:after")
        return report

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        """See ImageProvider."""
        return await self._inner.find_lost(token, sent_at)

    def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        """See ImageProvider."""
        return self._inner.list_jobs(since)

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        """See ImageProvider."""
        return await self._inner.fetch_output(output, max_bytes=max_bytes)

    async def probe(self, model: str | None = None) -> None:
        """See ImageProvider."""
        await self._inner.probe(model)

    async def close(self) -> None:
        """See ImageProvider."""
        await self._inner.close()
