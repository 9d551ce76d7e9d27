"""From a generation's request to the words and pixels of one picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from contracts.requests import (
    AnyRequest,
    AvatarRequest,
    AvatarSpec,
    GenerationRequest,
    PlannedPicture,
    Quality,
    SceneRequest,
    SceneSpec,
    planned_pictures,
)
from contracts.statuses import Step
from db.ledger import PromptUsed
from prompts.library import PromptLibrary

REQUEST: TypeAdapter[AnyRequest] = TypeAdapter(GenerationRequest)


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What one picture shall be, and the words for it."""

    prompt: PromptUsed
    planned: PlannedPicture
    quality: Quality


def parse_request(row: Mapping[str, Any]) -> AnyRequest:
    """The accepted request as it was stored."""
    return REQUEST.validate_python(dict(row))


def picture_spec(request: AnyRequest, step: Step, library: PromptLibrary) -> PictureSpec:
    """The picture of one step. Raises PromptError when a template is broken."""
    part = _part(request, step)
    if isinstance(part, AvatarSpec):
        rendered = library.avatar_prompt(part)
    else:
        rendered = library.scene_prompt(part, library.themes.get(part.theme))
    prompt = PromptUsed(text=rendered.text, name=rendered.name, version=str(rendered.version), sha256=rendered.sha256)
    planned = next(picture for picture in planned_pictures(request) if picture.step is step)
    return PictureSpec(prompt=prompt, planned=planned, quality=request.quality)


def _part(request: AnyRequest, step: Step) -> AvatarSpec | SceneSpec:
    if step is Step.avatar and not isinstance(request, SceneRequest):
        return request.avatar
    if step is Step.scene and not isinstance(request, AvatarRequest):
        return request.scene
    raise KeyError(step)
