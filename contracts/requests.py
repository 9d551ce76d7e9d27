"""What a client may ask for, discriminated by `kind`."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contracts.frozen import Frozen
from contracts.printable import printable
from contracts.statuses import Kind, Step
from contracts.wishes import Capability, PictureTraits, Shape, Strategy

# Long enough for a careful description, short enough that no template passes the 32,000 characters OpenAI takes.
Description = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Details = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
ThemeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,60}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,50}$")]
SessionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,100}$")]
UserId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,100}$")]
# As long as OpenAI takes them; with that, the whole prompt is the client's own.
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32_000)]
ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,50}$")]
Pixels = Annotated[str, StringConstraints(pattern=r"^(native|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$")]
Quality = Literal["low", "medium", "high"]
# What the catalog's `prompt_max_usd` has room for.
USUAL_TOKENS: Final = 6000
AvatarSize = Literal["1024x1024", "native"]
SceneSize = Literal["1920x1080", "1280x720", "native"]


class AvatarSpec(Frozen):
    """The character: who they are and what they wear."""

    description: Annotated[Description, AfterValidator(printable)] = Field(
        examples=["a young explorer with short red hair, round glasses and a green scarf"]
    )
    style: Annotated[Details, AfterValidator(printable)] = Field(
        default="", examples=["clean modern illustration"], description="How it is drawn; empty for the house style."
    )
    size: AvatarSize = Field(default="1024x1024", description="Pixels, or `native` for what the model gives.")


class SceneSpec(Frozen):
    """The place: a theme, and what is special about it."""

    theme: ThemeName = Field(examples=["aurora-night"])
    details: Annotated[Details, AfterValidator(printable)] = Field(
        default="", examples=["a small red cabin by the lake"]
    )
    size: SceneSize = Field(default="1920x1080", description="Pixels, or `native` for what the model gives.")


class RequestOptions(Frozen):
    """What every kind takes."""

    session_id: SessionId | None = Field(default=None, description="Groups generations; listed and deleted as one.")
    user_id: UserId | None = Field(
        default=None, description="Which of your own users it is for, in a word of yours: usage is told by it."
    )
    tags: tuple[Tag, ...] = Field(default=(), max_length=10)
    quality: Quality = "medium"
    provider: str | None = Field(default=None, max_length=50, description="Empty: the catalog's order.")
    model: str | None = Field(default=None, max_length=100, examples=["openai/gpt-image-2.5-flare"])
    force_model: bool = Field(default=False, description="Use a model although its shutdown date has passed.")
    strategy: Strategy | None = Field(
        default=None,
        description="How a model is chosen among those that can make it; `pinned`: the named one at the named provider, and no "
        "other when it fails. Empty: the recommended models in the catalog's order, or all models where no recommended one can "
        "make the picture.",
    )
    providers: tuple[ProviderName, ...] = Field(default=(), max_length=20, description="Only these may be used.")
    max_cost_usd: Annotated[Decimal, Field(gt=0, le=1000, max_digits=10, decimal_places=6)] | None = Field(
        default=None, description="What the whole generation may cost at most, in USD."
    )
    deadline_s: Annotated[int, Field(ge=5, le=1800)] = Field(default=300, description="Seconds a picture may take.")
    quote_id: UUID | None = Field(
        default=None,
        description="A quote for this very request: it costs no more than its max_usd, whatever prices changed.",
    )

    def within(self, usd: Decimal) -> Self:
        """The same request, which may cost no more than this (USD)."""
        most = usd if self.max_cost_usd is None else min(usd, self.max_cost_usd)
        return self.model_copy(update={"max_cost_usd": most})

    @model_validator(mode="after")
    def _pinned_names_a_model(self) -> Self:
        if self.strategy == "pinned" and (self.model is None or self.provider is None):
            raise ValueError("strategy pinned needs provider and model")
        return self


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


class ImageRequest(RequestOptions):
    """Pictures from the caller's own words, alone or with pictures of ours: one to ten, made side by side, of one fate."""

    kind: Literal[Kind.image]
    prompt: Annotated[Prompt, AfterValidator(printable)] = Field(examples=["a lighthouse made of glass, at dusk"])
    size: Pixels = Field(default="native", description="Pixels, or `native` for what the model gives.")
    count: Annotated[int, Field(ge=1, le=10)] = Field(default=1, description="How many pictures.")
    image_asset_ids: tuple[UUID, ...] = Field(default=(), max_length=16, description="Pictures of yours to work from.")
    image_use: Literal["reference", "start", "sketch"] = Field(
        default="reference",
        description="What the given pictures are: examples to look at, the picture to change (by traits.strength), or a sketch.",
    )
    traits: PictureTraits = PictureTraits()

    @model_validator(mode="after")
    def _one_picture_to_start_from(self) -> Self:
        if self.image_use != "reference" and len(self.image_asset_ids) != 1:
            raise ValueError("image_use start and sketch need exactly one picture in image_asset_ids")
        return self

    @model_validator(mode="after")
    def _transparency_can_be_kept(self) -> Self:
        if self.traits.transparent and self.traits.output_format == "jpeg":
            raise ValueError("a JPEG picture cannot be transparent: choose png or webp")
        return self

    @property
    def capability(self) -> Capability:
        """What a model must be able to do for it."""
        if not self.image_asset_ids:
            return "text_to_image"
        uses: dict[str, Capability] = {"start": "image_variation", "sketch": "sketch_to_image"}
        return uses.get(self.image_use, "image_to_image")


class EnhanceRequest(RequestOptions):
    """A better version of a picture of yours: larger, or with its faces restored."""

    kind: Literal[Kind.enhance]
    image_asset_id: UUID
    operation: Literal["upscale", "face_restore"] = "upscale"
    scale: Literal[2, 4] = Field(default=2, description="How many times larger; only for upscale.")


AnyRequest = AvatarRequest | SceneRequest | AvatarSceneRequest | ImageRequest | EnhanceRequest
GenerationRequest = Annotated[AnyRequest, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class PlannedPicture:
    """One picture of a request: its size in pixels (None: what the model gives) and how many pictures it starts from.

    `prompt_tokens`: so many the client's own words are at most, in steps of USUAL_TOKENS; 0: no more than that.
    """

    step: Step
    size: tuple[int, int] | None
    references: int
    capability: Capability = "text_to_image"
    traits: PictureTraits = field(default_factory=PictureTraits)
    prompt_tokens: int = 0

    @property
    def shape(self) -> Shape:
        """What is asked for where the size is open: scenes are wide; else the shape of the size."""
        if self.step is Step.scene:
            return "wide"
        if self.size is None or self.size[0] == self.size[1]:
            return "square"
        return "wide" if self.size[0] > self.size[1] else "tall"


def planned_pictures(request: AnyRequest) -> tuple[PlannedPicture, ...]:
    """The pictures that a request asks for, in order."""
    if isinstance(request, ImageRequest):
        return tuple(_variant(request, number) for number in range(1, request.count + 1))
    if isinstance(request, EnhanceRequest):
        scale = request.scale if request.operation == "upscale" else None
        traits = PictureTraits(scale=scale)
        return (PlannedPicture(Step.enhanced, None, references=1, capability=request.operation, traits=traits),)
    planned: list[PlannedPicture] = []
    if not isinstance(request, SceneRequest):
        planned.append(PlannedPicture(Step.avatar, pixels(request.avatar.size), references=0))
    if not isinstance(request, AvatarRequest):
        planned.append(
            PlannedPicture(Step.scene, pixels(request.scene.size), references=1, capability="image_to_image")
        )
    return tuple(planned)


def _variant(request: ImageRequest, number: int) -> PlannedPicture:
    """The first has the seed as it is given, the others those that follow: with one seed all would be the same picture."""
    traits = request.traits
    if traits.seed is not None:
        traits = traits.model_copy(update={"seed": (traits.seed + number - 1) % 2**31})
    return PlannedPicture(
        Step.variant(number),
        pixels(request.size),
        references=len(request.image_asset_ids),
        capability=request.capability,
        traits=traits,
        prompt_tokens=_most_tokens(request.prompt),
    )


def _most_tokens(prompt: str) -> int:
    """No token is shorter than a byte. In steps, so that there are few different plans."""
    steps = len(prompt.encode()) // USUAL_TOKENS
    return (steps + 1) * USUAL_TOKENS if steps else 0


def pixels(size: str) -> tuple[int, int] | None:
    """(width, height) in pixels of a size like `1920x1080`; None for `native`."""
    if size == "native":
        return None
    width, _, height = size.partition("x")
    return int(width), int(height)
