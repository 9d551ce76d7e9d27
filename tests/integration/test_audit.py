"""The audit log, as the database keeps it."""

import pytest
from sqlalchemy import text

from tests.integration.conftest import Tables


@pytest.mark.parametrize("statement", ["update audit set note = 'x'", "delete from audit", "truncate audit"])
async def test_the_audit_is_only_ever_added_to(tables: Tables, statement: str) -> None:
    async with tables.database.transaction() as session:
        await (await session.connection()).execute(
            text(
                "insert into audit (id, actor, action, subject, subject_id, note, facts, created_at)"
                " values (gen_random_uuid(), 'command', 'a', 'b', '', '', '{}', now())"
            )
        )

    with pytest.raises(Exception, match="only ever added to"):
        async with tables.database.transaction() as session:
            await (await session.connection()).execute(text(statement))
