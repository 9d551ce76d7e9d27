"""Waiting until nothing moves any more, with the reconciler's help, as in life."""

import asyncio
import time
from typing import Final

from sqlalchemy import text

from errors import DatabaseUnavailable
from tests.crash.asked import Asked
from tests.crash.lab import GRACE_S, Lab
from tests.crash.patient_http import NO_ANSWER, NeverAnswered, PatientHttp, promise_in

LOOK_EVERY_S = 0.5
RECONCILE_EVERY_S = 8.0
# An attempt may wait half a minute for its next try, and what is astray must be older than the grace (15 s).
SETTLES_WITHIN_S = 240.0
AT_ONCE = 8

# What has not come to rest, of one tenant.
RESTLESS: Final = {
    "live generations": "select count(*) from generation where tenant_id = :tenant and status in ('queued', 'running')",
    "open purchases": """
        select count(*) from spend s join generation g on g.id = s.generation_id
        where s.tenant_id = :tenant and s.state in ('held', 'sent', 'submitted', 'unknown') and g.status <> 'needs_review'
    """,
    "unfinished pictures": """
        select count(*) from asset a left join generation g on g.id = a.generation_id
        where a.tenant_id = :tenant and a.state in ('pending', 'deleting') and coalesce(g.status, '') <> 'needs_review'
    """,
    "pictures of deleted sessions": """
        select count(*) from asset a join generation g on g.id = a.generation_id
        where a.tenant_id = :tenant and a.state = 'stored' and g.deleted_at is not null
    """,
    "erasures": "select count(*) from erasure where tenant_id = :tenant and verified_at is null",
    "alerts": "select count(*) from budget_alert where tenant_id = :tenant and told_at is null",
    "deliveries": """
        select count(*) from delivery d join webhook_endpoint e on e.id = d.endpoint_id
        where d.tenant_id = :tenant and d.state = 'pending' and e.deleted_at is null
    """,
}


async def settle(lab: Lab, *, within_s: float = SETTLES_WITHIN_S, reconciler: bool = True) -> dict[str, int]:
    """Wait until all is at rest; returns what was still restless when the time was over.

    After that, the reconciler looks for what was left behind so lately that it was none of its business before; without
    it, what does not come to rest by itself stays astray.
    """
    await lab.keeper.all_up()
    await _repeat_all(lab.api, lab.memory.asked)
    moving = await _at_rest(lab, within_s, reconciler=reconciler)
    if moving or not reconciler:
        return moving
    await asyncio.sleep(GRACE_S + 1)
    await reconcile(lab)
    return await _at_rest(lab, within_s, reconciler=True)


async def _at_rest(lab: Lab, within_s: float, *, reconciler: bool) -> dict[str, int]:
    until, next_help = time.monotonic() + within_s, time.monotonic() + RECONCILE_EVERY_S
    while (moving := await _restless(lab)) and time.monotonic() < until:
        if reconciler and time.monotonic() > next_help:
            await reconcile(lab)
            next_help = time.monotonic() + RECONCILE_EVERY_S
        await asyncio.sleep(LOOK_EVERY_S)
    return moving


async def reconcile(lab: Lab, *, within_s: float = 130.0) -> bool:
    """Have the reconciler look at everything now. False: it could not, or not in that time."""
    try:
        answer = await lab.api.http.post(
            "/v1/operations/reconciliations",
            json={"dry_run": False},
            headers={"Authorization": f"Bearer {lab.doors.operator_key}"},
            timeout=within_s,
        )
    except NO_ANSWER:
        return False
    return answer.is_success


async def _restless(lab: Lab) -> dict[str, int]:
    found = {}
    try:
        async with lab.doors.database.transaction() as session:
            connection = await session.connection()
            for what, query in RESTLESS.items():
                found[what] = (await connection.execute(text(query), {"tenant": lab.doors.tenant_id})).scalar_one()
    except DatabaseUnavailable:
        return {"the database is away": 1}
    return {what: count for what, count in found.items() if count}


async def _repeat_all(api: PatientHttp, asked: list[Asked]) -> None:
    """Every client sends its request once more, under its key."""
    room = asyncio.Semaphore(AT_ONCE)

    async def repeat(one: Asked) -> None:
        async with room:
            try:
                answer = await api.send("POST", one.path, json=one.body, headers={"Idempotency-Key": one.key})
            except NeverAnswered:
                return
            one.repeated = promise_in(answer) or answer.json()
            one.answer = one.answer or one.repeated

    # With the request, its key was forgotten.
    await asyncio.gather(*(repeat(one) for one in asked if not one.erased))
