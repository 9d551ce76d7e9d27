"""The worker's reconciler, put together with the patience that the settings ask for."""

from datetime import timedelta

from prometheus_client import CollectorRegistry

from activities.reconciliation.all_checks import Tools, all_checks
from activities.reconciliation.check import ReconcilingRules
from activities.reconciliation.retention import RetentionRules
from activities.reconciling import ReconcileActivities, ReconcilerMetrics


def make_reconciler(
    tools: Tools,
    registry: CollectorRegistry,
    *,
    grace_s: int,
    keep_pictures_days: int | None,
    keep_deleted_hours: int,
    abandoned_session_days: int | None,
) -> ReconcileActivities:
    """All checks over these tools; None keeps pictures for ever."""
    grace = timedelta(seconds=grace_s)
    retention = RetentionRules(
        pictures=timedelta(days=keep_pictures_days) if keep_pictures_days else None,
        # Deleted sessions have a workflow of their own, which comes first.
        deleted=max(timedelta(hours=keep_deleted_hours), grace),
        abandoned=timedelta(days=abandoned_session_days) if abandoned_session_days else None,
    )
    checks = all_checks(tools, ReconcilingRules(grace=grace), retention)
    return ReconcileActivities(database=tools.database, checks=checks, metrics=ReconcilerMetrics(registry))
