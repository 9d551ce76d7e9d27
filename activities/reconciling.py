"""`reconcile.check`: one check of a round of the reconciler, and what is written down of its findings."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as Figure
from temporalio import activity

from activities.failures import told_to_temporal
from activities.heartbeat import beating
from activities.reconciliation.check import Check, Stray
from contracts.names import ACTIVITY_RECONCILE
from contracts.reconciliation import CheckOrder, CheckReport, Fact, FindingAction, FindingItem
from db import events, findings
from db.columns import now
from db.engine import Database
from db.operation_models import Finding
from errors import DatabaseUnavailable, DioramaError, LeaseLost, NotFound

log = structlog.get_logger(__name__)

# A check that has much to mend leaves the rest to the next round, so that the other checks have their turn.
LONGEST_MENDING_S = 60.0
# So many findings of a look are told in full: with the longest keys that a store takes, some 150 kB for the engine to keep.
MOST_TOLD = 100
# What cannot be mended is told once a day, and not in every round.
TOLD_AGAIN = timedelta(days=1)
STAYS_ASTRAY: tuple[FindingAction, ...] = ("reported", "postponed", "reminded")


class ReconcilerMetrics:
    """What one worker's reconciler found and did."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.findings = Figure(
            "diorama_reconciler_findings", "Things found astray", ["kind", "action"], registry=registry
        )
        self.checks = Figure(
            "diorama_reconciler_checks", "Checks, by how they ended", ["check", "outcome"], registry=registry
        )


class ReconcileActivities:
    """Does checks; holds dependencies only."""

    def __init__(self, *, database: Database, checks: Sequence[Check], metrics: ReconcilerMetrics) -> None:
        self._database = database
        self._checks = {check.name: check for check in checks}
        self._metrics = metrics

    @activity.defn(name=ACTIVITY_RECONCILE)
    async def reconcile(self, order: CheckOrder) -> CheckReport:
        """Find, mend, and write down. A check whose servers are away is skipped: the next round comes soon."""
        with told_to_temporal():
            async with beating():
                try:
                    report = await self._done(self._check(order.check), order)
                except DioramaError as error:
                    log.warning("reconciler.skipped", check=order.check, code=error.code)
                    report = CheckReport(after=order.after, skipped=error.code)
        self._metrics.checks.labels(order.check, report.skipped or "done").inc()
        return report

    def _check(self, name: str) -> Check:
        check = self._checks.get(name)
        if check is None:
            raise NotFound(f"This worker knows no check {name!r}.")
        return check

    async def _done(self, check: Check, order: CheckOrder) -> CheckReport:
        found = await check.find(order.after)
        if order.dry_run:
            return _report([_item(stray, "found") for stray in found.strays], found.after)
        told: list[FindingItem] = []
        until = time.monotonic() + LONGEST_MENDING_S
        # In no fixed order: what takes long and cannot be mended would come first in every round, and nothing else ever.
        for stray in random.sample(found.strays, len(found.strays)):
            if time.monotonic() > until:
                is_worth_while = any(item.action not in STAYS_ASTRAY for item in told)
                return _report(told, order.after if is_worth_while else found.after, unfinished=is_worth_while)
            item = await self._mended(check, stray)
            if item is not None:
                told.append(item)
        return _report(told, found.after)

    async def _mended(self, check: Check, stray: Stray) -> FindingItem | None:
        action, facts = await self._attempt(check, stray)
        if action is None:
            return None
        item = _item(stray, action, **facts)
        subject = item.model_dump(mode="json", exclude_none=True, exclude={"facts"})
        try:
            is_news = await self._write_down(item)
        except DatabaseUnavailable:
            raise
        except Exception:  # what was done is done: a finding that cannot be written down must not keep others from it
            log.exception("reconciler.not_written_down", **subject)
            return item
        if is_news:
            self._metrics.findings.labels(item.kind, item.action).inc()
            log.warning("reconciler.finding", **subject, **item.facts)
        return item

    async def _attempt(self, check: Check, stray: Stray) -> tuple[FindingAction | None, dict[str, Fact]]:
        """One that cannot be mended must not keep the others from it."""
        try:
            return await check.mend(stray), {}
        except LeaseLost:
            return None, {}  # somebody acts on it at this moment
        except DioramaError as error:
            return "postponed", {"error": error.code}
        except Exception as error:
            log.exception("reconciler.broken", check=check.name, kind=stray.kind)
            return "postponed", {"error": type(error).__name__}

    async def _write_down(self, item: FindingItem) -> bool:
        """A row, and an event when it is about a generation. False: that it is still so has been told lately."""
        row = Finding(**item.model_dump())
        async with self._database.transaction("finding.recorded") as session:
            if item.action in STAYS_ASTRAY and await findings.is_known(session, row, since=now() - TOLD_AGAIN):
                return False
            await findings.record(session, row)
            if item.generation_id is not None:
                data = {"action": item.action} | ({"step": item.facts["step"]} if "step" in item.facts else {})
                await events.append(session, item.generation_id, f"reconciler.{item.kind}", data)
        return True


def _report(items: Sequence[FindingItem], after: str, *, unfinished: bool = False) -> CheckReport:
    counts = Counter(item.kind for item in items)
    return CheckReport(counts=dict(counts), findings=tuple(items[:MOST_TOLD]), after=after, unfinished=unfinished)


def _item(stray: Stray, action: FindingAction, **facts: Fact) -> FindingItem:
    return FindingItem(
        kind=stray.kind,
        action=action,
        tenant_id=stray.tenant_id,
        generation_id=stray.generation_id,
        spend_id=stray.spend_id,
        asset_id=stray.asset_id,
        object_key=stray.object_key,
        facts={**stray.facts, **facts},
    )
