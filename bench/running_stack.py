"""The stack that is measured: the real servers in a folder of their own, with our eyes on the database, the store and the bill."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.bare_pictures import open_storage
from bench.ledger_rows import LedgerRows
from bench.sandbox_books import SandboxBooks
from deploy.local import LocalStack, StackOptions
from storage.minio_storage import MinioStorage

NO_LIMIT_PER_MINUTE = 6_000_000


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that serves. `environment`: the DIORAMA_* variables of its API and worker."""

    local: LocalStack
    environment: Mapping[str, str]
    ledger: LedgerRows
    books: SandboxBooks
    storage: MinioStorage

    def pids(self, *services: str) -> dict[str, int]:
        """The process ids of services by name. Raises RuntimeError when one of them does not run."""
        found = {name: self.local.pid(name) for name in services}
        if down := [name for name, pid in found.items() if pid is None]:
            raise RuntimeError(f"not running: {', '.join(down)}; see {self.local.root / 'logs'}")
        return {name: pid for name, pid in found.items() if pid is not None}


@asynccontextmanager
async def running_stack(folder: Path, *, reads_per_minute: int = NO_LIMIT_PER_MINUTE) -> AsyncIterator[RunningStack]:
    """A durable stack (fsync on) with small drawings, ended on exit.

    Creates are not limited on either side; `reads_per_minute` is what the worker believes to be the provider's limit.
    """
    ours = {
        **os.environ,
        "DIORAMA_REPLICATE_CREATES_PER_MINUTE": str(NO_LIMIT_PER_MINUTE),
        "DIORAMA_REPLICATE_READS_PER_MINUTE": str(reads_per_minute),
    }
    local = LocalStack(folder, options=StackOptions(sandbox_drawing="fast"), environment=ours)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(local)
        addresses, environment = local.addresses(), local.environment()
        connection = await asyncpg.connect(addresses.database_url)
        stack.push_async_callback(connection.close)
        books = SandboxBooks(addresses.sandbox_url)
        stack.push_async_callback(books.close)
        storage = open_storage(environment)
        stack.push_async_callback(storage.close)
        yield RunningStack(local, environment, LedgerRows(connection), books, storage)
