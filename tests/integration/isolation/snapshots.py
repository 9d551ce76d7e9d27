"""Everything that is a tenant's: its rows in all tables, and its objects in the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import MetaData, Table

from db.tables import METADATA
from tests.integration.api.running_api import Tenant

# Of all tenants together.
SHARED: Final = frozenset({"lane", "breaker", "traffic", "busy", "provider_event"})
# How a table without a tenant's id says whose its rows are.
OWNERS: Final[Mapping[str, str]] = {
    "tenant": "id = :id",
    "notice": "token in (select token from spend where tenant_id = :id)",
    "rate_limit": "name like '%' || :id || '%' or name in (select 'key:' || id from api_key where tenant_id = :id)",
}
BY_WAY_OF: Final[Mapping[str, str]] = {
    "generation_id": "generation",
    "delivery_id": "delivery",
    "budget_id": "budget",
    "endpoint_id": "webhook_endpoint",
}
# Written by a process of its own, some time after a key was used.
LATER: Final = "{last_used_at}"


@dataclass(frozen=True)
class Snapshot:
    """`rows`: table -> its rows as JSON, in an order of their own; `objects`: key -> what the store says of it."""

    rows: Mapping[str, tuple[str, ...]]
    objects: Mapping[str, tuple[int, str]]

    def changes(self, later: "Snapshot") -> dict[str, set[str]]:
        """What is there now and was not, or was and is not."""
        tables = {name: set(later.rows[name]) ^ set(rows) for name, rows in self.rows.items()}
        objects = {f"{key} {value}" for key, value in set(self.objects.items()) ^ set(later.objects.items())}
        return {name: found for name, found in (tables | {"objects": objects}).items() if found}


def owned_rows(metadata: MetaData) -> dict[str, str]:
    """Table -> the condition of a tenant's rows. Raises LookupError for a table that does not say whose its rows are."""
    return {table.name: _condition(table) for table in metadata.sorted_tables if table.name not in SHARED}


def _condition(table: Table) -> str:
    if table.name in OWNERS:
        return OWNERS[table.name]
    if "tenant_id" in table.columns:
        return "tenant_id = :id"
    for column, parent in BY_WAY_OF.items():
        if column in table.columns:
            return f"{column} in (select id from {parent} where tenant_id = :id)"  # noqa: S608 names of our own
    raise LookupError(f"Say in OWNERS or SHARED whose the rows of the table '{table.name}' are.")


async def snapshot(tenant: Tenant) -> Snapshot:
    """What the tenant has now."""
    rows: dict[str, tuple[str, ...]] = {}
    for table, condition in owned_rows(METADATA).items():
        query = f"select cast(to_jsonb(t) - cast('{LATER}' as text[]) as text) from \"{table}\" t where {condition}"  # noqa: S608
        found = await tenant.api.ask(query.replace(":id", f"'{tenant.id}'"))
        rows[table] = tuple(sorted(row[0] for row in found))
    objects = {
        found.key: (found.size_bytes, found.etag) async for found in tenant.api.storage.list_prefix(f"{tenant.id}/")
    }
    return Snapshot(rows, objects)
