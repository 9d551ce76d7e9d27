"""Where the client's own words for a picture stand in its request, so that others can take their place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from contracts.requests import AnyRequest, AvatarRequest, EnhanceRequest, GenerationRequest, ImageRequest, SceneRequest
from contracts.statuses import Step

REQUEST: Final[TypeAdapter[AnyRequest]] = TypeAdapter(GenerationRequest)


@dataclass(frozen=True, slots=True)
class PromptPlace:
    """`path` of the field from the request's root, its words, and how many characters it takes."""

    path: tuple[str, ...]
    text: str
    longest: int

    @property
    def pointer(self) -> str:
        """As a JSON pointer."""
        return "".join(f"/{part}" for part in self.path)


def parse_request(row: Mapping[str, Any]) -> AnyRequest:
    """The accepted request as it was stored."""
    return REQUEST.validate_python(dict(row))


def prompt_place(request: AnyRequest, step: Step | None) -> PromptPlace | None:
    """The words for this step's picture; None where the client gave none. Without a step: those of the first picture."""
    if isinstance(request, ImageRequest):
        return PromptPlace(("prompt",), request.prompt, 32_000)
    if isinstance(request, EnhanceRequest):
        return None
    if isinstance(request, AvatarRequest):
        return PromptPlace(("avatar", "description"), request.avatar.description, 2000)
    if not isinstance(request, SceneRequest) and step is not Step.scene:
        return PromptPlace(("avatar", "description"), request.avatar.description, 2000)
    return PromptPlace(("scene", "details"), request.scene.details, 1000) if request.scene.details else None


def prompt_places(request: AnyRequest) -> tuple[PromptPlace, ...]:
    """All words of the client's that pictures are made of, in order. What is not wanted is `negative_prompt`."""
    if isinstance(request, EnhanceRequest):
        return ()
    if isinstance(request, ImageRequest):
        return (PromptPlace(("prompt",), request.prompt, 32_000),)
    places: list[PromptPlace] = []
    if not isinstance(request, SceneRequest):
        places.append(PromptPlace(("avatar", "description"), request.avatar.description, 2000))
        places.append(PromptPlace(("avatar", "style"), request.avatar.style, 1000))
    if not isinstance(request, AvatarRequest):
        places.append(PromptPlace(("scene", "details"), request.scene.details, 1000))
    return tuple(place for place in places if place.text)


def negative_prompt(request: AnyRequest) -> str | None:
    """The client's words for what is not wanted."""
    return request.traits.negative_prompt if isinstance(request, ImageRequest) else None


def changed(request: AnyRequest, changes: Mapping[tuple[str, ...], Any]) -> AnyRequest:
    """The request with other values at these paths, checked anew. Raises ValidationError."""
    body = request.model_dump(mode="json")
    for path, value in changes.items():
        *outer, name = path
        place = body
        for part in outer:
            place = place[part]
        place[name] = value
    return REQUEST.validate_python(body)
