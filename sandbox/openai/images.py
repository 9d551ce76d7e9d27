"""POST /v1/images/generations and /v1/images/edits: synchronous, the answer comes when the picture is there."""

import base64
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from sandbox.answers import Answer, json_answer
from sandbox.clock import SandboxClock
from sandbox.faults import Fault, read_directions
from sandbox.json_text import Json, encode
from sandbox.models import ModelTable, Tokens
from sandbox.openai.errors import error, invalid_value, moderation_blocked
from sandbox.openai.image_jobs import ImageJobs
from sandbox.openai.image_request import Body, ImageRequest, check_request, read_body
from sandbox.painting import PaintBrief
from sandbox.pictures import Studio, blurred, corrupted, smaller
from sandbox.policy import refused_category
from sandbox.references import ReferenceStore, ReferenceUnavailable, decode_data_uri, is_data_uri
from sandbox.settings import Settings
from sandbox.synchronous_jobs import SynchronousJob
from sandbox.wire import Call, Refusal

TOKENS_PER_PARTIAL: Final = 100
BROKEN: Final = frozenset({"interrupted", "infra_error", "out_of_memory", "model_error", "abort"})
"""Faults that this synchronous API can only tell as a 500."""


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted request with all that its answer needs."""

    request: ImageRequest
    job: SynchronousJob
    references: tuple[bytes, ...]
    tokens: Tokens
    event: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class ImageRoutes:
    """The handlers."""

    clock: SandboxClock
    settings: Settings
    models: ModelTable
    jobs: ImageJobs
    studio: Studio
    references: ReferenceStore

    async def read(self, call: Call) -> str:
        """Decode the body; its prompt."""
        body = call.fields = await read_body(call)
        prompt = str(body.fields.get("prompt", ""))
        call.directions = read_directions(prompt)
        return prompt

    async def generate(self, call: Call) -> Answer:
        """POST /v1/images/generations."""
        return await self._serve(call, edit=False)

    async def edit(self, call: Call) -> Answer:
        """POST /v1/images/edits."""
        return await self._serve(call, edit=True)

    async def _serve(self, call: Call, *, edit: bool) -> Answer:
        body: Body = call.fields
        request = check_request(body, self.models, call.now, edit=edit)
        references = (*request.uploads, *[await self._reference(address) for address in request.addresses])
        refused = refused_category(call.directions.prompt)
        if (fault := call.fault("input_policy")) or refused:
            category = fault.text("category", "sexual") if fault else str(refused)
            return moderation_blocked("input", [category])
        order = self._accept(call, request, references, "image_edit" if edit else "image_generation")
        if call.fault("lost_response"):
            # The connection is dropped on the way out; nobody waits for the picture, but it is paid for.
            self.jobs.end(order.job, "lost")
            return Answer(200)
        if request.stream and not call.faults:
            return Answer(200, media_type="text/event-stream; charset=utf-8", chunks=self._stream(call, order))
        await self._wait(call, order.duration_s)
        return await self._finish(call, order)

    def _accept(self, call: Call, request: ImageRequest, references: tuple[bytes, ...], event: str) -> Order:
        tokens = request.tariff.tokens(
            call.directions.prompt,
            width=request.width,
            height=request.height,
            quality=request.quality,
            pictures=request.n,
            references=len(references),
        )
        if fault := call.fault("dear"):  # a bill that no price list foresees
            tokens = Tokens(tokens.text_in, tokens.image_in, int(tokens.output * fault.number("factor", 10.0)))
        if request.stream:
            extra = TOKENS_PER_PARTIAL * request.partial_images
            tokens = Tokens(tokens.text_in, tokens.image_in, tokens.output + extra)
        correlation = request.end_user or call.request.headers.get("x-client-request-id")
        job = self.jobs.accept(request, request.tariff.usd(tokens), correlation)
        call.job_id = job.id
        directions = call.directions
        duration_s = self.settings.duration_s if directions.duration_s is None else directions.duration_s
        duration_s += self.settings.queue_s if directions.queue_s is None else directions.queue_s
        return Order(request, job, references, tokens, event, duration_s)

    async def _wait(self, call: Call, duration_s: float) -> None:
        if fault := call.fault("slow_start"):
            duration_s += fault.number("seconds", 30.0)
        if call.fault("stuck"):
            duration_s = math.inf
        until = self.clock.now() + duration_s
        while (now := self.clock.now()) < until:
            await self.clock.sleep_until(min(until, now + 1.0))
            if math.isinf(until) and await call.request.is_disconnected():
                return

    async def _finish(self, call: Call, order: Order) -> Answer:
        jobs, job = self.jobs, order.job
        if any(fault.name in BROKEN for fault in call.faults):
            jobs.end(job, "failed", free=True)
            message = "The server had an error while processing your request. Sorry about that!"
            return error(500, message, kind="server_error", code="server_error")
        if fault := call.fault("output_policy"):
            jobs.end(job, "blocked")
            return moderation_blocked("output", [fault.text("category", "sexual")])
        pictures = [] if call.fault("empty_output") else await self._paint_all(call, order)
        jobs.end(job, "succeeded")
        return json_answer(
            self._body(order, pictures), headers={"openai-processing-ms": str(int(order.duration_s * 1000))}
        )

    async def _paint_all(self, call: Call, order: Order) -> list[bytes]:
        damage = call.faults + tuple(fault for fault in call.directions.faults if fault.operation == "delivery")
        return [await self._paint(call, order, index, damage) for index in range(order.request.n)]

    async def _paint(self, call: Call, order: Order, index: int, damage: tuple[Fault, ...]) -> bytes:
        request = order.request
        brief = PaintBrief(
            prompt=call.directions.prompt,
            seed=f"{order.job.id}/{index}",
            width=request.width,
            height=request.height,
            references=order.references if self.settings.drawing == "full" else (),
            output_format=request.output_format,
            drawing=self.settings.drawing,
        )
        names = {fault.name for fault in damage}
        try:
            picture = await self.studio.paint(smaller(brief) if "wrong_size" in names else brief)
        except ValueError as unreadable:
            self.jobs.end(order.job, "failed", free=True)
            raise Refusal(
                invalid_value("Invalid image file or mode for image.", "image", "image_parse_error")
            ) from unreadable
        return corrupted(picture) if "corrupt_image" in names else picture

    async def _reference(self, address: str) -> bytes:
        try:
            return decode_data_uri(address) if is_data_uri(address) else await self.references.fetch(address)
        except ReferenceUnavailable as unavailable:
            message = f"Error while downloading {address[:100]}."
            raise Refusal(invalid_value(message, "images", "invalid_image_url")) from unavailable

    async def _stream(self, call: Call, order: Order) -> AsyncIterator[bytes]:
        request = order.request
        pictures = await self._paint_all(call, order)
        portion_s = order.duration_s / (request.partial_images + 1)
        for number in range(request.partial_images):
            await self.clock.sleep(portion_s)
            # Every partial is sharper than the one before.
            partial = blurred(pictures[0], 2 ** (request.partial_images - number + 1))
            yield _event(
                f"{order.event}.partial_image", {**self._frame(request, partial), "partial_image_index": number}
            )
        await self.clock.sleep(portion_s)
        self.jobs.end(order.job, "succeeded")
        for picture in pictures:
            yield _event(f"{order.event}.completed", {**self._frame(request, picture), "usage": _usage(order.tokens)})

    def _frame(self, request: ImageRequest, picture: bytes) -> Json:
        return {
            "b64_json": base64.b64encode(picture).decode(),
            "background": request.background,
            "created_at": int(self.clock.now()),
            "output_format": request.output_format,
            "quality": _quality(request),
            "size": request.size,
        }

    def _body(self, order: Order, pictures: list[bytes]) -> Json:
        request = order.request
        return {
            "created": int(self.clock.now()),
            "background": request.background,
            "data": [{"b64_json": base64.b64encode(picture).decode()} for picture in pictures],
            "output_format": request.output_format,
            "quality": _quality(request),
            "size": request.size,
            "usage": _usage(order.tokens),
        }


def _quality(request: ImageRequest) -> str:
    return request.tariff.auto_quality if request.quality == "auto" else request.quality


def _usage(tokens: Tokens) -> Json:
    return {
        "input_tokens": tokens.text_in + tokens.image_in,
        "input_tokens_details": {"image_tokens": tokens.image_in, "text_tokens": tokens.text_in},
        "output_tokens": tokens.output,
        "output_tokens_details": {"image_tokens": tokens.output, "text_tokens": 0},
        "total_tokens": tokens.text_in + tokens.image_in + tokens.output,
    }


def _event(name: str, frame: Json) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), encode({"type": name, **frame}))
