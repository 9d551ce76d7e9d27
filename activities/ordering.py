"""From a generation's request to the words and pixels of one picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from contracts.requests import (
    AnyRequest,
    AvatarRequest,
    AvatarSceneRequest,
    AvatarSpec,
    EnhanceRequest,
    GenerationRequest,
    ImageRequest,
    PlannedPicture,
    Quality,
    SceneRequest,
    SceneSpec,
    planned_pictures,
)
from contracts.statuses import Step
from contracts.wishes import OutputFormat
from db.ledger import PromptUsed
from prompts.library import PromptLibrary

REQUEST: TypeAdapter[AnyRequest] = TypeAdapter(GenerationRequest, config=ConfigDict(hide_input_in_errors=True))
# The names under which words that no template made are on record.
CLIENTS_WORDS, NO_WORDS = "client", "none"


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What one picture shall be, and the words for it. `output_format`: None for what the provider delivers."""

    prompt: PromptUsed
    planned: PlannedPicture
    quality: Quality
    output_format: OutputFormat | None = None


def parse_request(row: Mapping[str, Any]) -> AnyRequest:
    """The accepted request as it was stored."""
    return REQUEST.validate_python(dict(row))


def picture_spec(request: AnyRequest, step: Step, library: PromptLibrary) -> PictureSpec:
    """The picture of one step. Raises PromptError when a template is broken, KeyError when the request has no such step."""
    planned = next((picture for picture in planned_pictures(request) if picture.step is step), None)
    if planned is None:
        raise KeyError(step)
    output_format = request.traits.output_format if isinstance(request, ImageRequest) else None
    prompt = _prompt(request, step, library)
    return PictureSpec(prompt=prompt, planned=planned, quality=request.quality, output_format=output_format)


def _prompt(request: AnyRequest, step: Step, library: PromptLibrary) -> PromptUsed:
    if isinstance(request, ImageRequest):
        return _without_template(CLIENTS_WORDS, request.prompt)
    if isinstance(request, EnhanceRequest):
        return _without_template(NO_WORDS, "")
    part = _part(request, step)
    if isinstance(part, AvatarSpec):
        rendered = library.avatar_prompt(part)
    else:
        rendered = library.scene_prompt(part, library.themes.get(part.theme))
    return PromptUsed(text=rendered.text, name=rendered.name, version=str(rendered.version), sha256=rendered.sha256)


def _without_template(name: str, text: str) -> PromptUsed:
    return PromptUsed(text=text, name=name, version="1", sha256=sha256(text.encode()).hexdigest())


def _part(request: AvatarRequest | SceneRequest | AvatarSceneRequest, step: Step) -> AvatarSpec | SceneSpec:
    if step is Step.avatar and not isinstance(request, SceneRequest):
        return request.avatar
    if step is Step.scene and not isinstance(request, AvatarRequest):
        return request.scene
    raise KeyError(step)
