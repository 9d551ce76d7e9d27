"""Tasks and bills as JSON, with the addresses of this sandbox."""

from typing import Final

from sandbox.clock import iso
from sandbox.json_text import Json
from sandbox.keys import Keys
from sandbox.wavespeed.fates import MEDIA_FAILED
from sandbox.wavespeed.tasks import Task

PREFIX: Final = "/wavespeed"


class TaskRenderer:
    """Renders tasks as a look, a list, a bill and a webhook show them."""

    def __init__(self, public_url: str, keys: Keys) -> None:
        self._root = f"{public_url}{PREFIX}"
        self._keys = keys

    def task(self, task: Task, now: float) -> Json:
        """What a create and a look give. Nothing of the input: neither shows it."""
        status = task.status(now)
        body: Json = {
            "id": task.id,
            "model": task.model,
            "outputs": self._outputs(task) if status == "completed" else [],
            "urls": {"get": f"{self._root}/api/v3/predictions/{task.id}/result"},
            "has_nsfw_contents": [task.fate.nsfw] * task.count if status == "completed" and not task.fate.empty else [],
            "status": status,
            "created_at": iso(task.created_at),
            "error": "",
            "timings": {"inference": round(task.duration_s * 1000) if status == "completed" else 0},
        }
        if status == "failed":
            code, error = (MEDIA_FAILED, task.work_error) if task.work_error else (task.fate.code, task.fate.error)
            body |= {"code": code, "error": error}
        return body

    def listed(self, task: Task, now: float) -> Json:
        """A row of the list."""
        return {**self.task(task, now), "executionTime": round(task.duration_s * 1000)}

    def told(self, task: Task, now: float) -> Json:
        """The body of a webhook, which does show the input."""
        return {**self.task(task, now), "input": task.input}

    def bills(self, task: Task, now: float) -> list[Json]:
        """The records of a task's bill, newest first: deducted when it was accepted, refunded when it failed."""
        deducted = self._bill(task, "deduct", now)
        return [self._bill(task, "refund", now), deducted] if task.billed(now) is False else [deducted]

    def picture_path(self, task: Task, index: int) -> str:
        """The path of an output below the sandbox's root: public, but nobody can guess it."""
        return f"{PREFIX}/outputs/{self._keys.address(task.id)}/{task.id}/{index}.{task.output_format}"

    def _outputs(self, task: Task) -> list[str]:
        if task.fate.empty:
            return []
        root = self._root.removesuffix(PREFIX)
        return [f"{root}{self.picture_path(task, index)}" for index in range(task.count)]

    @staticmethod
    def _bill(task: Task, kind: str, now: float) -> Json:
        return {
            "uuid": f"{kind}-{task.id}",
            "billing_type": kind,
            "price": task.amount_usd,
            "created_at": iso(task.created_at),
            "updated_at": iso(now),
            "order": {"state": "done", "price": task.amount_usd, "origin_price": task.amount_usd},
            "prediction": {"uuid": task.id, "model_uuid": task.model, "status": task.status(now)},
        }
