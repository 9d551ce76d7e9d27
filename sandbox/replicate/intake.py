"""Accepting a prediction: which model, is the input right, what will it cost, how will it end."""

import base64
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sandbox.faults import Fault
from sandbox.json_text import Json
from sandbox.models import ModelTable, ReplicateModel, Tokens
from sandbox.policy import refused_category
from sandbox.replicate.errors import invalid_version, not_found, validation_failed
from sandbox.replicate.fates import fate_of
from sandbox.replicate.predictions import ALL_EVENTS, PicturePlan, Prediction
from sandbox.replicate.validation import Complaint, as_detail, complaints
from sandbox.settings import Settings
from sandbox.sizes import SizeRefused, replicate_size
from sandbox.wire import Call, Refusal, header_words

REFERENCE_FIELDS: Final = ("input_images", "image", "img", "image_prompt", "mask")
SCALE_FIELDS: Final = ("scale", "upscale")
COUNT_FIELDS: Final = ("number_of_images", "num_outputs", "num_samples")
_BODY_SCHEMA: Final[Json] = {
    "type": "object",
    "required": ["input"],
    "properties": {
        "input": {},
        "webhook": {"type": "string"},
        "webhook_completed": {"type": "string"},
        "webhook_events_filter": {"type": "array", "items": {"type": "string", "enum": list(ALL_EVENTS)}},
        "stream": {"type": "boolean"},
    },
}
_VERSIONED_SCHEMA: Final[Json] = {
    **_BODY_SCHEMA,
    "required": ["version", "input"],
    "properties": {"version": {"type": "string"}, **_BODY_SCHEMA["properties"]},
}
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
LEAST_DEADLINE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Intake:
    """Turns create requests into predictions."""

    models: ModelTable
    settings: Settings
    shelve: Callable[[Json], Json]
    """Takes large data URIs out of an input and puts addresses in their place."""

    def versioned_model(self, fields: Any) -> ReplicateModel:
        """The model that a body's `version` names: 64 hex, `owner/name:hex`, or `owner/name` of an official model.

        Raises Refusal when the body or the version is wrong.
        """
        _check_body(_VERSIONED_SCHEMA, fields)
        name, colon, version = fields["version"].rpartition(":")
        found = self.models.replicate_versions.get(version)
        official = self.models.replicate.get(version)
        if found and (not colon or name == found.full_name):
            return found
        if official and not colon and official.version is None:
            return official
        raise Refusal(invalid_version())

    def official_model(self, full_name: str, fields: Any) -> ReplicateModel:
        """The official model of this name. Raises Refusal when there is none or the body is wrong."""
        model = self.models.replicate.get(full_name)
        if model is None or model.version is not None:
            raise Refusal(not_found("The requested resource could not be found."))
        _check_body(_BODY_SCHEMA, fields)
        return model

    def deployed_model(self, deployment: str, fields: Any) -> ReplicateModel:
        """The model of a deployment. Raises Refusal when there is none or the body is wrong."""
        model = self.models.deployments.get(deployment)
        if model is None:
            raise Refusal(not_found("The specified deployment does not exist"))
        _check_body(_BODY_SCHEMA, fields)
        return model

    def prediction(self, call: Call, model: ReplicateModel, deployment: str | None = None) -> Prediction:
        """A prediction of the call's input, not yet accepted. Raises Refusal for an input that the model's schema forbids."""
        fields, directions = call.fields, call.directions
        _refuse(complaints(model.schema, fields["input"]))
        values = self.shelve(fields["input"])
        plan = self._plan(model, values)
        fate = fate_of(call.faults, refused_category(directions.prompt), is_community=model.version is not None)
        duration_s = self.settings.duration_s if directions.duration_s is None else directions.duration_s
        tokens = _tokens(model, values, directions.prompt, plan)
        deadline_s = _cancel_after_s(call)
        pending = plan.drawing == "full" or bool(reference_addresses(values))
        return Prediction(
            id=_new_id(),
            model=model.full_name,
            version=model.version or "hidden",
            input=values,
            created_at=call.now,
            queue_s=self._queue_s(directions.queue_s, call.faults),
            duration_s=duration_s,
            plan=plan,
            fate=fate,
            amount_usd=_amount_usd(model, tokens, plan, duration_s),
            usd_per_second=model.usd_per_second,
            token_counts=(tokens.text_in, tokens.image_in, tokens.output) if tokens else None,
            deadline_at=None if deadline_s is None else call.now + deadline_s,
            webhook=fields.get("webhook") or fields.get("webhook_completed"),
            webhook_events=_events(fields),
            deployment=deployment,
            fault_header=header_words(call),
            work_done_at=None if pending and fate.outcome == "succeeded" else call.now,
        )

    def _plan(self, model: ReplicateModel, values: Json) -> PicturePlan:
        try:
            width, height = replicate_size(model.sizing, values)
        except SizeRefused as error:
            raise Refusal(_single_complaint("enum", "input.aspect_ratio", str(error))) from error
        default = model.schema["properties"].get("output_format", {}).get("default", "png")
        suffix = str(values.get("output_format", default))
        output_format: Literal["png", "webp", "jpeg"] = "jpeg"
        if suffix in ("png", "webp"):
            output_format = "png" if suffix == "png" else "webp"
        count = next((int(values[name]) for name in COUNT_FIELDS if name in values), 1)
        return PicturePlan(
            width=width,
            height=height,
            output_format=output_format,
            suffix=suffix,
            count=count + model.leading_pictures,
            single=model.single_output,
            drawing=self.settings.drawing,
            enlarge_by=_enlargement(model, values),
            follows=_followed(model, values),
            leading=model.leading_pictures,
            most_input_pixels=model.most_input_pixels,
        )

    def _queue_s(self, directed: float | None, faults: Sequence[Fault]) -> float:
        queue_s = self.settings.queue_s if directed is None else directed
        return queue_s + sum(fault.number("seconds", 30.0) for fault in faults if fault.name == "slow_start")


def _enlargement(model: ReplicateModel, values: Json) -> float | None:
    if model.sizing != "enlarge":
        return None
    name = next(name for name in SCALE_FIELDS if name in model.schema["properties"])
    return float(values.get(name, model.schema["properties"][name]["default"]))


def _followed(model: ReplicateModel, values: Json) -> Literal["", "size", "shape"]:
    """SDXL and FLUX change a picture in its own size; ControlNet keeps a sketch's shape and sets its shorter side."""
    if model.sizing == "resolution":
        return "shape"
    return "size" if model.sizing in ("input", "flux") and "image" in values else ""


def reference_addresses(values: Json) -> list[str]:
    """The addresses of the input pictures, in order."""
    found: list[str] = []
    for name in REFERENCE_FIELDS:
        value = values.get(name)
        if isinstance(value, list):
            found += value
        elif value:
            found.append(value)
    return found


def cancel_after_s(text: str) -> float | None:
    """Seconds of `30`, `30s`, `5m` or `1h30m45s`; None when it is none of these."""
    match = _DURATION.fullmatch(text.strip())
    if not match or not any(match.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def _cancel_after_s(call: Call) -> float | None:
    text = call.request.headers.get("cancel-after")
    if text is None:
        return None
    seconds = cancel_after_s(text)
    if seconds is None or seconds < LEAST_DEADLINE_S:
        raise Refusal(validation_failed(f"Cancel-After: {text!r} must be a duration of at least 5 seconds"))
    return seconds


def _check_body(schema: Json, fields: Any) -> None:
    found = complaints(schema, fields, "")
    if found:
        # Complaints about the body itself name no field: "- version is required".
        lines = [f"- {one.field.removeprefix('.') + ': ' if one.field else ''}{one.description}\n" for one in found]
        raise Refusal(validation_failed("".join(lines)))


def _refuse(found: list[Complaint]) -> None:
    if found:
        raise Refusal(validation_failed(as_detail(found), [one.as_json() for one in found]))


def _single_complaint(rule: str, field: str, words: str) -> Any:
    one = Complaint(rule, field, words)
    return validation_failed(as_detail([one]), [one.as_json()])


def _tokens(model: ReplicateModel, values: Json, prompt: str, plan: PicturePlan) -> Tokens | None:
    if model.tariff is None:
        return None
    return model.tariff.tokens(
        prompt,
        width=plan.width,
        height=plan.height,
        quality=str(values.get("quality", "auto")),
        pictures=plan.count,
        references=len(reference_addresses(values)),
    )


def _amount_usd(model: ReplicateModel, tokens: Tokens | None, plan: PicturePlan, duration_s: float) -> float:
    if model.tariff is not None and tokens is not None:
        return model.tariff.usd(tokens)
    return round(model.usd_per_picture * plan.count + model.usd_per_second * duration_s, 6)


def _events(fields: Json) -> Any:
    if "webhook" not in fields and "webhook_completed" in fields:
        return ("completed",)
    return tuple(fields.get("webhook_events_filter") or ALL_EVENTS)


def _new_id() -> str:
    # 26 characters of lower-case base32, the shape of the real ids.
    return base64.b32encode(os.urandom(17))[:26].decode().lower()
