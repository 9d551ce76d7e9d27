"""Waits of the product that no setting reaches, shortened where bugs are planted: half of the time went into them.

Each is a wait for what a dead or paused process left behind. The lab's long runs have them as products run.
"""

from typing import Final

from tests.crash.trees import Change

HEARTBEAT_S = 3
START_WITHIN_S, LIST_LAG_S = 3.0, 1.0

HASTE: Final = (
    # What the engine gives a dead worker's workflows before it asks another one, ten seconds.
    Change(
        "worker.py",
        "        max_cached_workflows=5000,\n",
        "        max_cached_workflows=5000,\n        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),\n",
    ),
    # And what it gives a worker that died in the middle of a workflow's turn, ten as well.
    Change(
        "engine/starts.py",
        "                static_summary=self.summary,\n                # tenants share",
        "                static_summary=self.summary,\n"
        "                task_timeout=timedelta(seconds=3),\n"
        "                # tenants share",
    ),
    # How long after `sent` a purchase may be under way unseen, beside the time for its submission.
    Change("activities/buying_rules.py", "start_within_s: float = 5.0", f"start_within_s: float = {START_WITHIN_S}"),
    Change("activities/buying_rules.py", "list_lag_s: float = 5.0", f"list_lag_s: float = {LIST_LAG_S}"),
)
