"""What the reconciler's workflow, its activity and the API say to each other."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.frozen import Frozen

# In the order in which a round goes through them: what starts or ends work comes before what clears away after it.
CHECKS = (
    "workflows",
    "forgotten_cancels",
    "purchases_to_adopt",
    "open_purchases",
    "unverified_purchases",
    "stray_jobs",
    "deliveries",
    "unfinished_assets",
    "objects",
    "retention",
    "old_rows",
)

Fact = str | int | float | bool | None
FindingAction = Literal[
    "found",  # a dry run: nothing was done
    "started",
    "reopened",
    "reminded",
    "take_back_started",
    "adopted",
    "canceled",
    "recorded",
    "settled",
    "released",
    "corrected",
    "removed",
    "reported",  # nothing can be done by itself
    "postponed",  # a server was away, or has not said its last word: tried again in the next round
]


class FindingItem(Frozen):
    """Something astray, what was done about it, and what it is about."""

    kind: str = Field(examples=["workflow_gone"])
    action: str = Field(examples=["reopened"], description="One of FindingAction; another release may know more.")
    tenant_id: UUID | None = None
    generation_id: UUID | None = None
    spend_id: UUID | None = None
    asset_id: UUID | None = None
    object_key: str | None = None
    facts: dict[str, Fact] = Field(default_factory=dict)


class CheckOrder(Frozen):
    """Do one check; `after` is where the one before stopped (empty: at the beginning)."""

    check: str
    dry_run: bool = False
    after: str = ""


class CheckReport(Frozen):
    """What a check found; `after`: where to go on (empty: it came to the end). `skipped`: the code of what was away.

    `counts` has all findings by kind, `findings` the first of them in full: a report must not outgrow what the engine takes.
    `unfinished`: it mended some and found more than it had time for, so that another look at the same place is worth while.
    """

    counts: dict[str, int] = Field(
        default_factory=dict
    )  # empty in reports of earlier releases, which held all findings
    findings: tuple[FindingItem, ...] = ()
    after: str = ""
    unfinished: bool = False
    skipped: str | None = None


class ReconcileOrder(Frozen):
    """One round through `checks`.

    A round of the schedule looks at a part of everything, and the next one goes on behind it; a `whole` round looks at
    everything, and gives the findings in its report.
    """

    checks: tuple[str, ...] = CHECKS
    dry_run: bool = False
    whole: bool = False


class ReconcileReport(Frozen):
    """The findings of a round by kind, at most 500 of them in full, and the checks that could not be done, with why.

    `cursors`: where the next round goes on, by check.
    """

    counts: dict[str, int] = Field(default_factory=dict)
    items: tuple[FindingItem, ...] = ()
    skipped: dict[str, str] = Field(default_factory=dict)
    cursors: dict[str, str] = Field(default_factory=dict)
