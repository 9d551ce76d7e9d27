"""What a client may ask for, discriminated by `kind`."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contracts.frozen import Frozen
from contracts.statuses import Kind, Step

# Long enough for a careful description, short enough that no template passes the 32,000 characters OpenAI takes.
Description = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Details = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
ThemeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,60}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,50}$")]
SessionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,100}$")]
Quality = Literal["low", "medium", "high"]
AvatarSize = Literal["1024x1024", "native"]
SceneSize = Literal["1920x1080", "1280x720", "native"]


def _printable(text: str) -> str:
    if any(ord(character) < 32 and character not in "\n\t" for character in text):
        raise ValueError("control characters are not allowed")
    return text


class AvatarSpec(Frozen):
    """The character: who they are and what they wear."""

    description: Annotated[Description, AfterValidator(_printable)] = Field(
        examples=["a young explorer with short red hair, round glasses and a green scarf"]
    )
    style: Annotated[Details, AfterValidator(_printable)] = Field(
        default="", examples=["clean modern illustration"], description="How it is drawn; empty for the house style."
    )
    size: AvatarSize = Field(default="1024x1024", description="Pixels, or `native` for what the model gives.")


class SceneSpec(Frozen):
    """The place: a theme, and what is special about it."""

    theme: ThemeName = Field(examples=["aurora-night"])
    details: Annotated[Details, AfterValidator(_printable)] = Field(
        default="", examples=["a small red cabin by the lake"]
    )
    size: SceneSize = Field(default="1920x1080", description="Pixels, or `native` for what the model gives.")


class RequestOptions(Frozen):
    """What every kind takes."""

    session_id: SessionId | None = Field(default=None, description="Groups generations; listed and deleted as one.")
    tags: tuple[Tag, ...] = Field(default=(), max_length=10)
    quality: Quality = "medium"
    provider: str | None = Field(default=None, max_length=50, description="Empty: the catalog's order.")
    model: str | None = Field(default=None, max_length=100, examples=["openai/gpt-image-2.5-flare"])
    force_model: bool = Field(default=False, description="Use a model although its shutdown date has passed.")
    deadline_s: Annotated[int, Field(ge=5, le=1800)] = Field(default=300, description="Seconds a picture may take.")


class AvatarRequest(RequestOptions):
    """One avatar."""

    kind: Literal[Kind.avatar]
    avatar: AvatarSpec


class SceneRequest(RequestOptions):
    """A scene with an avatar that exists: one of ours by id, or a picture behind a URL."""

    kind: Literal[Kind.scene]
    scene: SceneSpec
    avatar_asset_id: UUID | None = None
    image_url: Annotated[str, Field(max_length=2000)] | None = Field(
        default=None, examples=["https://example.com/me.png"]
    )

    @model_validator(mode="after")
    def _exactly_one_picture(self) -> Self:
        if (self.avatar_asset_id is None) == (self.image_url is None):
            raise ValueError("give exactly one of avatar_asset_id and image_url")
        return self


class AvatarSceneRequest(RequestOptions):
    """An avatar, then a scene with it: one chain, rolled back as one."""

    kind: Literal[Kind.avatar_scene]
    avatar: AvatarSpec
    scene: SceneSpec


AnyRequest = AvatarRequest | SceneRequest | AvatarSceneRequest
GenerationRequest = Annotated[AnyRequest, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class PlannedPicture:
    """One picture of a request: its size in pixels (None: what the model gives) and how many pictures it starts from."""

    step: Step
    size: tuple[int, int] | None
    references: int

    @property
    def shape(self) -> Literal["square", "wide"]:
        """What is asked for where the size is open."""
        return "square" if self.step is Step.avatar else "wide"


def planned_pictures(request: AnyRequest) -> tuple[PlannedPicture, ...]:
    """The pictures that a request asks for, in order."""
    planned: list[PlannedPicture] = []
    if not isinstance(request, SceneRequest):
        planned.append(PlannedPicture(Step.avatar, pixels(request.avatar.size), references=0))
    if not isinstance(request, AvatarRequest):
        planned.append(PlannedPicture(Step.scene, pixels(request.scene.size), references=1))
    return tuple(planned)


def pixels(size: str) -> tuple[int, int] | None:
    """(width, height) in pixels of a size like `1920x1080`; None for `native`."""
    if size == "native":
        return None
    width, _, height = size.partition("x")
    return int(width), int(height)
