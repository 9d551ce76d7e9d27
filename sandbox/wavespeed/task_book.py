"""All tasks, newest last, and their charges; rebuilt from the record log after a restart."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final

from sandbox.charges import Charge, ChargeLedger
from sandbox.json_text import Json
from sandbox.record_log import RecordLog
from sandbox.wavespeed.tasks import Fate, Task


class TaskBook:
    """The tasks. Listeners hear of each task that is new or whose work is done."""

    def __init__(self, log: RecordLog, ledger: ChargeLedger) -> None:
        self._log = log
        self._ledger = ledger
        self._by_id: dict[str, Task] = {}
        self._listeners: list[Callable[[Task], None]] = []
        log.subscribe("wavespeed_task", self._replay_created)
        log.subscribe("wavespeed_task_worked", self._replay_worked)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._by_id.values())

    def listen(self, listener: Callable[[Task], None]) -> None:
        """Call this with every task that is created or whose work is done."""
        self._listeners.append(listener)

    def get(self, task_id: str) -> Task | None:
        """The task of this id."""
        return self._by_id.get(task_id)

    def create(self, task: Task) -> None:
        """Accept a task: from here on it exists and is charged."""
        self._log.append("wavespeed_task", {name: getattr(task, name) for name in _RECORDED})
        self._enter(task)
        self._tell(task)

    def finish_work(
        self, task: Task, now: float, *, references: tuple[str, ...] = (), error: str | None = None
    ) -> None:
        """Note that its input pictures are fetched and its drawings painted, or why that failed."""
        if self._by_id.get(task.id) is not task:  # the sandbox was reset meanwhile
            return
        task.work_done_at, task.work_error, task.references = now, error, references
        self._log.append("wavespeed_task_worked", {"id": task.id, "at": now, "references": references, "error": error})
        self._tell(task)

    def newest_first(self, keep: Callable[[Task], bool]) -> list[Task]:
        """Those tasks that `keep` wants."""
        return [task for task in reversed(self._by_id.values()) if keep(task)]

    def erase(self) -> None:
        """Forget every task."""
        self._by_id.clear()

    def _enter(self, task: Task) -> None:
        self._by_id[task.id] = task
        self._ledger.enter(
            Charge(
                job_id=task.id,
                provider="wavespeed",
                model=task.model,
                prompt_sha256=sha256(task.raw_prompt.encode()).hexdigest(),
                user_id=None,
                webhook=task.webhook,
                amount_usd=task.amount_usd,
                accepted_at=task.created_at,
                verdict=task,
            )
        )

    def _tell(self, task: Task) -> None:
        for listener in self._listeners:
            listener(task)

    def _replay_created(self, record: Json) -> None:
        fields: dict[str, Any] = dict(record)
        fields["fate"] = Fate(**record["fate"])
        self._enter(Task(**fields))

    def _replay_worked(self, record: Json) -> None:
        task = self._by_id[record["id"]]
        task.work_done_at, task.work_error = record["at"], record["error"]
        task.references = tuple(record["references"])


_RECORDED: Final = (
    "id",
    "model",
    "input",
    "created_at",
    "queue_s",
    "duration_s",
    "width",
    "height",
    "count",
    "output_format",
    "drawing",
    "fate",
    "amount_usd",
    "enlarge_by",
    "webhook",
    "fault_header",
    "work_done_at",
)
