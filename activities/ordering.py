"""From a generation's request to the words and pixels of one picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from contracts.requests import (
    AvatarRequest,
    AvatarSceneRequest,
    AvatarSpec,
    GenerationRequest,
    Quality,
    SceneRequest,
    SceneSpec,
    pixels,
)
from contracts.statuses import Step
from db.ledger import PromptUsed
from prompts.library import PromptLibrary

REQUEST: TypeAdapter[AvatarRequest | SceneRequest | AvatarSceneRequest] = TypeAdapter(GenerationRequest)


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """What one picture shall be; `size` in pixels, None for what the model gives."""

    prompt: PromptUsed
    size: tuple[int, int] | None
    shape: Literal["square", "wide"]
    quality: Quality


def parse_request(row: Mapping[str, Any]) -> AvatarRequest | SceneRequest | AvatarSceneRequest:
    """The accepted request as it was stored."""
    return REQUEST.validate_python(dict(row))


def steps_of(request: AvatarRequest | SceneRequest | AvatarSceneRequest) -> tuple[Step, ...]:
    """The pictures this request asks for, in order."""
    if isinstance(request, AvatarSceneRequest):
        return (Step.avatar, Step.scene)
    return (Step.avatar,) if isinstance(request, AvatarRequest) else (Step.scene,)


def size_of(request: AvatarRequest | SceneRequest | AvatarSceneRequest, step: Step) -> tuple[int, int] | None:
    """The size of this step's picture in pixels; None for what the model gives."""
    return pixels(_part(request, step).size)


def picture_spec(
    request: AvatarRequest | SceneRequest | AvatarSceneRequest, step: Step, library: PromptLibrary
) -> PictureSpec:
    """The picture of one step. Raises PromptError when a template is broken."""
    part = _part(request, step)
    if isinstance(part, AvatarSpec):
        rendered = library.avatar_prompt(part)
    else:
        rendered = library.scene_prompt(part, library.themes.get(part.theme))
    prompt = PromptUsed(text=rendered.text, name=rendered.name, version=str(rendered.version), sha256=rendered.sha256)
    shape: Literal["square", "wide"] = "square" if step is Step.avatar else "wide"
    return PictureSpec(prompt=prompt, size=pixels(part.size), shape=shape, quality=request.quality)


def _part(request: AvatarRequest | SceneRequest | AvatarSceneRequest, step: Step) -> AvatarSpec | SceneSpec:
    if step is Step.avatar and not isinstance(request, SceneRequest):
        return request.avatar
    if step is Step.scene and not isinstance(request, AvatarRequest):
        return request.scene
    raise KeyError(step)
