"""What our own rows say about chains: how they stand, how long they took, what was bought, what is stored."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from bench.closed_loop import ChainRun

ACCEPTED = "select id::text from generation where created_at >= $1"
STATUSES = "select status, count(*) from generation where id = any($1::uuid[]) group by status"
FINISHED = """
    select g.id::text as name, extract(epoch from g.finished_at - g.created_at)::float8 as seconds,
           array_agg(s.provider_job_id) filter (where s.provider_job_id is not null) as job_ids
    from generation g join spend s on s.generation_id = g.id
    where g.id = any($1::uuid[]) and g.status = 'succeeded'
    group by g.id
"""
BOUGHT = "select provider_job_id from spend where generation_id = any($1::uuid[]) and provider_job_id is not null"
STORED = "select tenant_id::text, key from asset where generation_id = any($1::uuid[]) and state = 'stored'"


class LedgerRows:
    """Reads the stack's database through one connection; `names` are ids of generations."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def accepted_since(self, moment: datetime) -> list[str]:
        """The chains that were accepted at or after this moment."""
        return [row["id"] for row in await self._connection.fetch(ACCEPTED, moment)]

    async def statuses(self, names: Sequence[str]) -> dict[str, int]:
        """How many of the chains are in which status."""
        return dict(await self._connection.fetch(STATUSES, _ids(names)))

    async def finished(self, names: Sequence[str]) -> list[ChainRun]:
        """Those that succeeded, timed from acceptance to their last transaction, with the jobs that were bought for them."""
        rows = await self._connection.fetch(FINISHED, _ids(names))
        return [ChainRun(row["name"], row["seconds"], tuple(row["job_ids"] or ())) for row in rows]

    async def bought(self, names: Sequence[str]) -> list[str]:
        """The provider's jobs that our purchases know."""
        return [row["provider_job_id"] for row in await self._connection.fetch(BOUGHT, _ids(names))]

    async def stored(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """(tenant, key) of each picture that is said to be in the store."""
        return [(row["tenant_id"], row["key"]) for row in await self._connection.fetch(STORED, _ids(names))]


def _ids(names: Sequence[str]) -> list[UUID]:
    return [UUID(name) for name in names]
