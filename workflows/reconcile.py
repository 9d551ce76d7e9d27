"""A round of the reconciler: one check after the other. One that fails does not keep the others from their turn."""

from collections import Counter
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from activities.reconciling import ReconcileActivities
from contracts.names import MAIN_QUEUE, WORKFLOW_RECONCILE
from contracts.reconciliation import CheckOrder, CheckReport, FindingItem, ReconcileOrder, ReconcileReport

# What one report may hold: 500 findings of some 400 bytes are far below what a payload may have (2 MB), and with the longest
# keys that a store takes they still are below it.
MOST_ITEMS = 500
# A whole round over a bucket of two million objects takes so many looks at it.
MOST_LOOKS = 1000


@workflow.defn(name=WORKFLOW_RECONCILE)
class Reconcile:
    """Started by a schedule, or by an operator; two rounds at once are harmless."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._items: list[FindingItem] = []
        self._skipped: dict[str, str] = {}

    @workflow.run
    async def run(self, order: ReconcileOrder) -> ReconcileReport:
        """Do all checks; the report says what was found, what was skipped, and where the next round goes on."""
        cursors = {} if order.whole else _last_cursors()
        for check in order.checks:
            cursors[check] = (
                await self._all_of(check, order) if order.whole else await self._look(check, order, cursors)
            )
        skipped = "".join(f"\n- {check}: {why}" for check, why in self._skipped.items())
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(self._counts.items()))
        workflow.set_current_details(f"found: {found or 'nothing'}{skipped and f'{chr(10)}skipped:{skipped}'}")
        return ReconcileReport(
            counts=dict(self._counts),
            items=tuple(self._items) if order.whole else (),
            skipped=self._skipped,
            cursors={check: after for check, after in cursors.items() if after},
        )

    async def _look(self, check: str, order: ReconcileOrder, cursors: dict[str, str]) -> str:
        after = cursors.get(check, "")
        report = await self._report(CheckOrder(check=check, dry_run=order.dry_run, after=after))
        return report.after

    async def _all_of(self, check: str, order: ReconcileOrder) -> str:
        after = ""
        for _ in range(MOST_LOOKS):
            report = await self._report(CheckOrder(check=check, dry_run=order.dry_run, after=after))
            after = report.after
            if report.skipped or not (after or report.unfinished):
                break
        return ""

    async def _report(self, order: CheckOrder) -> CheckReport:
        try:
            report = await workflow.execute_activity_method(
                ReconcileActivities.reconcile,
                order,
                task_queue=MAIN_QUEUE,
                start_to_close_timeout=timedelta(minutes=5),
                heartbeat_timeout=timedelta(seconds=60),
                retry_policy=RetryPolicy(maximum_attempts=2),
                summary=order.check,
            )
        except ActivityError:
            workflow.logger.exception("a check failed")
            report = CheckReport(after=order.after, skipped="failed")
        if report.skipped:
            self._skipped[order.check] = report.skipped
        self._counts.update(report.counts or Counter(item.kind for item in report.findings))
        self._items += report.findings[: MOST_ITEMS - len(self._items)]
        return report


def _last_cursors() -> dict[str, str]:
    """Where the round before stopped, read without trust: it may have been a round of another release."""
    if not workflow.has_last_completion_result():
        return {}
    last: Any = workflow.get_last_completion_result(dict)
    cursors = last.get("cursors") if isinstance(last, dict) else None
    return {str(check): str(after) for check, after in cursors.items()} if isinstance(cursors, dict) else {}
