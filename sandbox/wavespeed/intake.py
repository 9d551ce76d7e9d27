"""Accepting a task: which model, is the input right, what will it cost, how will it end."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.faults import Fault
from sandbox.json_text import Json
from sandbox.policy import refused_category
from sandbox.replicate.validation import complaints
from sandbox.settings import Settings
from sandbox.wavespeed.errors import INVALID_PARAMETER, MISSING_PARAMETER, refused
from sandbox.wavespeed.fates import fate_of
from sandbox.wavespeed.models import WaveSpeedModel
from sandbox.wavespeed.tasks import Task
from sandbox.wire import Call, Refusal, header_words

PICTURE_INPUTS: Final = ("images", "image", "mask_image")


@dataclass(frozen=True, slots=True)
class Intake:
    """Turns create requests into tasks."""

    models: Mapping[str, WaveSpeedModel]
    settings: Settings

    def task(self, call: Call, model_id: str) -> Task:
        """A task of the call's input, not yet accepted. Raises Refusal for a model or an input that there is not."""
        model = self.models.get(model_id)
        if model is None:
            raise Refusal(refused(404, f"model not found: {model_id}"))
        values = _checked(model, call.fields)
        try:
            width, height = model.pixels(values)
        except ValueError as error:
            raise Refusal(refused(400, str(error), INVALID_PARAMETER)) from error
        directions, settings = call.directions, self.settings
        fate = fate_of(call.faults, refused_category(directions.prompt))
        count = int(values.get("num_images", 1))
        enlarge_by = model.enlargement(values)
        pending = settings.drawing == "full" or bool(picture_addresses(values))
        return Task(
            id=uuid.uuid4().hex,
            model=model.id,
            input=values,
            created_at=call.now,
            queue_s=_queue_s(settings.queue_s if directions.queue_s is None else directions.queue_s, call.faults),
            duration_s=settings.duration_s if directions.duration_s is None else directions.duration_s,
            width=width,
            height=height,
            count=count,
            output_format=model.output_format(values),
            drawing=settings.drawing,
            fate=fate,
            amount_usd=round(model.usd_per_picture * count, 6),
            enlarge_by=enlarge_by,
            webhook=call.request.query_params.get("webhook"),
            fault_header=header_words(call),
            work_done_at=None if pending and not fate.failed else call.now,
        )


def picture_addresses(values: Json) -> list[str]:
    """The addresses of the input pictures, in order."""
    found: list[str] = []
    for name in PICTURE_INPUTS:
        value = values.get(name)
        if isinstance(value, list):
            found += value
        elif value:
            found.append(value)
    return found


def _checked(model: WaveSpeedModel, fields: object) -> Json:
    if not isinstance(fields, dict):
        raise Refusal(refused(400, "the body must be a JSON object"))
    for one in complaints(model.schema, fields, ""):
        code = MISSING_PARAMETER if one.rule == "required" else INVALID_PARAMETER
        raise Refusal(refused(400, f"invalid parameter {one.field.removeprefix('.')}: {one.description}", code))
    if any(address.startswith("data:") for address in picture_addresses(fields)):
        raise Refusal(refused(400, "pictures must be given as URLs", INVALID_PARAMETER))
    return fields


def _queue_s(queue_s: float, faults: tuple[Fault, ...]) -> float:
    return queue_s + sum(fault.number("seconds", 30.0) for fault in faults if fault.name == "slow_start")
