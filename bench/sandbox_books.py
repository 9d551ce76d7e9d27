"""What the sandbox providers recorded, and how long their jobs take: the other side's view of a benchmark."""

from typing import Any, Literal

import httpx

EVERYTHING = "100000"


class SandboxBooks:
    """The sandbox's admin side."""

    def __init__(self, sandbox_url: str) -> None:
        self._admin = httpx.AsyncClient(base_url=sandbox_url, timeout=60, trust_env=False)

    async def set_pace(self, *, job_s: float, reads_per_minute: float | Literal["unlimited"] = "unlimited") -> None:
        """New jobs run for `job_s` seconds without a queue; creates are not limited."""
        pace = {"duration_s": job_s, "queue_s": 0, "creates_per_minute": "unlimited"}
        await self._tell("/admin/settings", pace | {"reads_per_minute": reads_per_minute})

    async def forget(self) -> None:
        """Close the books: jobs, charges and pictures so far are gone."""
        await self._tell("/admin/reset", {})

    async def job_seconds(self) -> dict[str, float]:
        """For each job that has ended: the seconds from its acceptance to its end, input pictures included.

        A provider whose answer is the picture has no jobs that end; of its calls no time is told.
        """
        ended = [job for job in await self._ask("/admin/jobs") if job.get("ends_at") is not None]
        return {job["id"]: job["ends_at"] - job["created_at"] for job in ended}

    async def charged_jobs(self) -> list[str]:
        """The job of each charge."""
        return [charge["job_id"] for charge in await self._ask("/admin/charges")]

    async def refused_for_rate(self) -> int:
        """Calls that were refused because they came too fast, since the sandbox began; forgetting keeps this count."""
        summary = await self._ask("/admin/summary")
        return int(summary["replicate"]["refused_for_rate"])

    async def close(self) -> None:
        """Give the connection back."""
        await self._admin.aclose()

    async def _tell(self, path: str, form: dict[str, Any]) -> None:
        (await self._admin.post(path, json=form)).raise_for_status()

    async def _ask(self, path: str) -> Any:
        return (await self._admin.get(path, params={"limit": EVERYTHING})).raise_for_status().json()
