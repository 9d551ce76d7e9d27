"""POST /v2/images/generations and the creates of version 1: synchronous, the answer comes when the picture is there."""

import base64
import math
import secrets
from dataclasses import dataclass
from typing import Final

from sandbox.answers import Answer, json_answer
from sandbox.clock import SandboxClock, iso
from sandbox.faults import read_directions
from sandbox.getimg import requests_v1, requests_v2
from sandbox.getimg.errors import error, policy_violation
from sandbox.getimg.job_book import Job, JobBook
from sandbox.getimg.models import Range
from sandbox.getimg.order import Order
from sandbox.json_text import Json, decode
from sandbox.keys import Keys
from sandbox.painting import PaintBrief
from sandbox.pictures import Studio, corrupted, halved
from sandbox.policy import refused_category
from sandbox.references import ReferenceStore
from sandbox.settings import Settings
from sandbox.wire import Call, Refusal

PREFIX: Final = "/getimg"
MEDIA: Final = "/getimg/media"
BROKEN: Final = frozenset({"interrupted", "infra_error", "out_of_memory", "model_error", "abort"})
"""Faults that this synchronous API can only tell as a 500."""


@dataclass(frozen=True, slots=True)
class GenerationRoutes:
    """The handlers."""

    public_url: str
    clock: SandboxClock
    settings: Settings
    keys: Keys
    on_sale: Range
    jobs: JobBook
    studio: Studio
    references: ReferenceStore

    async def read(self, call: Call) -> str:
        """Decode the body; its prompt, empty for what needs none."""
        try:
            call.fields = decode(call.body)
        except ValueError as broken:
            raise Refusal(error(400, "invalid_parameter", "The body is not valid JSON.")) from broken
        prompt = str(call.fields.get("prompt", "")) if isinstance(call.fields, dict) else ""
        call.directions = read_directions(prompt)
        return prompt

    async def version_2(self, call: Call) -> Answer:
        """POST /v2/images/generations."""
        return await self._serve(
            call, await requests_v2.order_of(call.fields, len(call.body), self.on_sale, self.references)
        )

    async def version_1(self, call: Call) -> Answer:
        """POST /v1/{family}/{operation}."""
        path = f"/v1/{call.path['family']}/{call.path['operation']}"
        operation = self.on_sale.operations.get(path)
        if operation is None:
            return error(404, "not_found", f"Unknown path {path}.")
        return await self._serve(call, requests_v1.order_of(call.fields, operation))

    async def _serve(self, call: Call, order: Order) -> Answer:
        refused = refused_category(call.directions.prompt)
        if (fault := call.fault("input_policy")) or refused:
            return policy_violation(fault.text("category", "sexual") if fault else str(refused))
        job = self.jobs.accept(order, order.prompt)
        call.job_id = job.id
        if call.fault("lost_response"):
            # The connection is dropped on the way out; nobody waits for the picture, but it is paid for.
            self.jobs.end(job, "lost")
            return Answer(200)
        await self._wait(call)
        return await self._finish(call, order, job)

    async def _wait(self, call: Call) -> None:
        directions, settings = call.directions, self.settings
        duration_s = settings.duration_s if directions.duration_s is None else directions.duration_s
        duration_s += settings.queue_s if directions.queue_s is None else directions.queue_s
        if fault := call.fault("slow_start"):
            duration_s += fault.number("seconds", 30.0)
        if call.fault("stuck"):
            duration_s = math.inf
        until = self.clock.now() + duration_s
        while (now := self.clock.now()) < until:
            await self.clock.sleep_until(min(until, now + 1.0))
            if math.isinf(until) and await call.request.is_disconnected():
                return

    async def _finish(self, call: Call, order: Order, job: Job) -> Answer:
        if any(fault.name in BROKEN for fault in call.faults):
            self.jobs.end(job, "failed", free=True)
            return error(500, "internal_error", "Something went wrong on our end.", kind="api_error")
        if fault := call.fault("output_policy"):
            self.jobs.end(job, "blocked", free=True)
            return policy_violation(fault.text("category", "sexual"))
        if call.fault("empty_output"):
            self.jobs.end(job, "succeeded")
            return json_answer(self._version_2(job, []) if order.version == 2 else {"image": "", "cost": order.usd})
        picture = await self._painted(call, order, job)
        self.jobs.end(job, "succeeded")
        if order.version == 2:
            return json_answer(self._version_2(job, [self._shelved(job, picture)]))
        return json_answer(self._version_1(call, order, job, picture))

    async def _painted(self, call: Call, order: Order, job: Job) -> bytes:
        try:
            if order.does in ("enlarge", "restore"):
                return await self.studio.enlarge(order.references[0], order.scale, order.output_format)
            return await self.studio.paint(self._brief(call, order, job))
        except ValueError as unreadable:
            self.jobs.end(job, "failed", free=True)
            raise Refusal(error(400, "invalid_parameter", "An image could not be read.", param="image")) from unreadable

    def _brief(self, call: Call, order: Order, job: Job) -> PaintBrief:
        return PaintBrief(
            prompt=call.directions.prompt,
            seed=job.id if order.seed is None else str(order.seed),
            width=order.size[0],
            height=order.size[1],
            references=order.references if self.settings.drawing == "full" else (),
            output_format=order.output_format,
            drawing=self.settings.drawing,
        )

    def _shelved(self, job: Job, picture: bytes) -> str:
        """Put it where it can be downloaded; its address."""
        self.studio.keep(job.id, picture)
        return f"{self.public_url}{MEDIA}/{self.keys.address(job.id)}/{job.id}.{job.output_format}"

    def _version_2(self, job: Job, urls: list[str]) -> Json:
        width, height = map(int, job.size.split("x"))
        described = {
            "width": width,
            "height": height,
            "mime_type": f"image/{job.output_format}",
            "deletes_at": iso(job.deletes_at()),
        }
        return {
            "id": job.id,
            "model": job.model,
            "status": "completed",
            "data": [{"url": url, **described} for url in urls],
            "usage": {
                "billable_unit": "image",
                "quantity": 1,
                "unit_price": job.amount_usd,
                "total_cost": job.amount_usd,
            },
        }

    def _version_1(self, call: Call, order: Order, job: Job, picture: bytes) -> Json:
        seed = secrets.randbelow(2**31) if order.seed is None else order.seed
        told: Json = {"seed": seed, "cost": order.usd} if order.does in ("paint", "vary") else {"cost": order.usd}
        if order.by_url:
            return {"url": self._shelved(job, picture), **told}
        damage = {fault.name for fault in (*call.faults, *call.directions.faults) if fault.operation == "delivery"}
        picture = halved(picture) if "wrong_size" in damage else picture
        picture = corrupted(picture) if "corrupt_image" in damage else picture
        return {"image": base64.b64encode(picture).decode(), **told}
