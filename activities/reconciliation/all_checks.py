"""All checks, wired to what they work with."""

from collections.abc import Mapping
from dataclasses import dataclass

from activities.buying import Buyer
from activities.keeping import Keeper
from activities.reconciliation.check import Check, ReconcilingRules
from activities.reconciliation.deliveries import Deliveries
from activities.reconciliation.forgotten_cancels import ForgottenCancels
from activities.reconciliation.inquiry import Inquiry
from activities.reconciliation.objects import Objects
from activities.reconciliation.old_rows import OldRows
from activities.reconciliation.open_purchases import OpenPurchases
from activities.reconciliation.purchases_to_adopt import PurchasesToAdopt
from activities.reconciliation.retention import Retention, RetentionRules
from activities.reconciliation.stray_jobs import StrayJobs
from activities.reconciliation.unfinished_assets import UnfinishedAssets
from activities.reconciliation.unverified_purchases import UnverifiedPurchases
from activities.reconciliation.workflows import WorkflowsOfGenerations
from activities.waiting import Waiter
from db.engine import Database
from engine.runs import Runs
from providers.base import ImageProvider
from storage.base import ObjectStorage


@dataclass(frozen=True, slots=True)
class Tools:
    """What the checks work with: the same objects as the activities that make pictures."""

    database: Database
    storage: ObjectStorage
    providers: Mapping[str, ImageProvider]
    keeper: Keeper
    buyer: Buyer
    waiter: Waiter
    runs: Runs


def all_checks(tools: Tools, rules: ReconcilingRules, retention: RetentionRules) -> tuple[Check, ...]:
    """One object for each name in contracts.reconciliation.CHECKS."""
    database, keeper = tools.database, tools.keeper
    inquiry = Inquiry(database, tools.providers, tools.buyer, tools.waiter, rules.provider_remembers)
    return (
        WorkflowsOfGenerations(database, tools.runs, rules),
        ForgottenCancels(database, tools.runs, rules),
        PurchasesToAdopt(database, inquiry, rules),
        OpenPurchases(database, inquiry, rules),
        UnverifiedPurchases(database, inquiry),
        StrayJobs(database, inquiry, rules),
        Deliveries(database, tools.runs, rules),
        UnfinishedAssets(database, keeper, rules),
        Objects(database, tools.storage, keeper, rules),
        Retention(database, keeper, retention),
        OldRows(database),
    )
