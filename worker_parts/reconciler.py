"""The worker's reconciler, put together with the patience that the settings ask for."""

from datetime import timedelta

from prometheus_client import REGISTRY

from activities.reconciliation.all_checks import Tools, all_checks
from activities.reconciliation.check import ReconcilingRules
from activities.reconciliation.retention import RetentionRules
from activities.reconciling import ReconcileActivities, ReconcilerMetrics
from config import Settings
from engine.runs import Runs
from worker_parts.making import MakingParts


def make_reconciler(settings: Settings, runs: Runs, parts: MakingParts) -> ReconcileActivities:
    """All checks, over what pictures are made with and the engine's `runs`."""
    tools = Tools(
        database=parts.database,
        storage=parts.storage,
        providers=parts.accounts,
        keeper=parts.keeper,
        buyer=parts.buyer,
        waiter=parts.waiter,
        runs=runs,
    )
    grace = timedelta(seconds=settings.reconcile_grace_s)
    checks = all_checks(tools, ReconcilingRules(grace=grace), _retention(settings, grace))
    return ReconcileActivities(database=parts.database, checks=checks, metrics=ReconcilerMetrics(REGISTRY))


def _retention(settings: Settings, grace: timedelta) -> RetentionRules:
    """For how long pictures are kept; None: for ever."""
    days = settings.keep_pictures_days
    return RetentionRules(
        pictures=timedelta(days=days) if days else None,
        # Deleted sessions have a workflow of their own, which comes first.
        deleted=max(timedelta(hours=settings.keep_deleted_hours), grace),
        abandoned=timedelta(days=settings.abandoned_session_days) if settings.abandoned_session_days else None,
    )
