"""The handlers of the API: creating, looking, listing, bills, uploads, the balance, the models and the webhook secret."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.answers import Answer
from sandbox.clock import from_iso
from sandbox.faults import read_directions
from sandbox.json_text import Json, decode
from sandbox.keys import Keys
from sandbox.wavespeed.errors import refused, success
from sandbox.wavespeed.intake import Intake
from sandbox.wavespeed.models import WaveSpeedModel
from sandbox.wavespeed.rendering import TaskRenderer
from sandbox.wavespeed.task_book import TaskBook
from sandbox.wavespeed.tasks import Task
from sandbox.wavespeed.uploads import MAX_BYTES, UploadShelf
from sandbox.wire import Call, Refusal

BALANCE_USD: Final = 100.0
LARGEST_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class TaskHandlers:
    """What the endpoints do."""

    on_sale: Mapping[str, WaveSpeedModel]
    intake: Intake
    book: TaskBook
    renderer: TaskRenderer
    uploads: UploadShelf
    keys: Keys

    async def read_create(self, call: Call) -> str:
        """Decode the body of a create; its prompt."""
        call.fields = _decoded(call)
        prompt = str(call.fields.get("prompt", "")) if isinstance(call.fields, dict) else ""
        call.directions = read_directions(prompt)
        return prompt

    async def read_task(self, call: Call) -> str:
        """Find the task of a look; its prompt."""
        task = self.book.get(call.path["id"])
        if task is None or task.expired(call.now):
            raise Refusal(refused(404, "prediction not found"))
        call.fields, call.job_id, call.directions = task, task.id, task.directions
        return task.raw_prompt

    async def create(self, call: Call) -> Answer:
        """POST /api/v3/{provider}/{model}[/{variant}]."""
        task = self.intake.task(call, call.path["model"])
        self.book.create(task)
        call.job_id = task.id
        return success(self.renderer.task(task, call.now))

    async def result(self, call: Call) -> Answer:
        """GET /api/v3/predictions/{id}/result."""
        return success(self.renderer.task(call.fields, call.now))

    async def list(self, call: Call) -> Answer:
        """POST /api/v3/predictions: newest first, of the last seven days."""
        form = _decoded(call)
        wanted = _filter(form, call.now)
        found = self.book.newest_first(lambda task: wanted(task) and not task.expired(call.now))
        rows = [self.renderer.listed(task, call.now) for task in _page_of(found, form)]
        return success({"page": form["page"], "total": len(found), "items": rows})

    async def bills(self, call: Call) -> Answer:
        """POST /api/v3/billings/search."""
        form = _decoded(call)
        ids = form.get("prediction_uuids")
        found = self.book.newest_first(lambda task: ids is None or task.id in ids)
        rows = [bill for task in _page_of(found, form) for bill in self.renderer.bills(task, call.now)]
        return success({"page": form["page"], "total": len(rows), "items": rows})

    async def upload(self, call: Call) -> Answer:
        """POST /api/v3/media/uploads."""
        form = _decoded(call)
        name, size, content_type = form.get("filename"), form.get("size"), form.get("content_type")
        if not isinstance(name, str) or "/" in name or not isinstance(size, int) or not isinstance(content_type, str):
            return refused(400, "filename, size and content_type are required", 1400)
        if not 0 < size <= MAX_BYTES:
            return refused(413, "file too large")
        return success(self.uploads.ticket(name, size, content_type))

    async def balance(self, _: Call) -> Answer:
        """GET /api/v3/balance."""
        return success({"balance": BALANCE_USD})

    async def models(self, _: Call) -> Answer:
        """GET /api/v3/models."""
        return success([model.described() for model in self.on_sale.values()])

    async def webhook_secret(self, _: Call) -> Answer:
        """GET /api/v3/webhook/secret."""
        return success({"secret": self.keys.webhook_secret})


def _decoded(call: Call) -> Json:
    try:
        body = decode(call.body)
    except ValueError as error:
        raise Refusal(refused(400, f"invalid JSON: {error}")) from error
    if not isinstance(body, dict):
        raise Refusal(refused(400, "the body must be a JSON object"))
    return body


def _page_of(tasks: list[Task], form: Json) -> list[Task]:
    page, size = form.get("page"), form.get("page_size")
    if not isinstance(page, int) or not isinstance(size, int) or page < 1 or not 1 <= size <= LARGEST_PAGE:
        raise Refusal(refused(400, "page must be at least 1, page_size between 1 and 100", 1401))
    return tasks[(page - 1) * size : page * size]


def _filter(form: Json, now: float) -> Callable[[Task], bool]:
    try:
        after = from_iso(form["created_after"]) if form.get("created_after") else float("-inf")
        before = from_iso(form["created_before"]) if form.get("created_before") else float("inf")
    except (TypeError, ValueError) as error:
        raise Refusal(refused(400, f"invalid date: {error}", 1401)) from error
    model, status = form.get("model"), form.get("status")

    def fits(task: Task) -> bool:
        right_kind = model in (None, task.model) and status in (None, task.status(now))
        return right_kind and after <= task.created_at < before

    return fits
