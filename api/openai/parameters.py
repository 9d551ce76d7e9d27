"""The parameters of OpenAI's image calls, and the request of ours that they mean. None is dropped: it is met, or refused."""

import hashlib
import re
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from contracts.frozen import Frozen
from contracts.requests import ImageRequest, Prompt, ProviderName, Quality, SessionId, Tag
from contracts.statuses import Kind
from contracts.wishes import PictureTraits, Strategy

EndUser = Annotated[str, StringConstraints(max_length=512)]

# What OpenAI knows and we cannot do for every provider.
UNSUPPORTED: Final = {
    "mask": "Masks are not supported yet: say in the prompt what is to be changed.",
    "markup": "Markup is not supported: say in the prompt what is to be changed.",
    "style": "Describe the style in the prompt.",
    "input_fidelity": "Leave it out: pictures are always looked at closely.",
    "output_compression": "Leave it out, or say 100: pictures come in their best quality.",
    "complexity": "Leave it out.",
    "frame_count": "Only still pictures are made.",
    "frame_duration_ms": "Only still pictures are made.",
    "svg": "Only pixel pictures are made.",
}
_USER_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}")
# Values of them that say no more than what is done anyway; a form has them as text.
_MET: Final[dict[str, tuple[Any, ...]]] = {"output_compression": (100, "100")}
_QUALITIES: Final[dict[str, Quality]] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
    "auto": "medium",
    "standard": "medium",
    "hd": "high",
}


class DioramaOptions(Frozen):
    """What OpenAI has no words for; with the openai client: `extra_body={"diorama": {...}}`. See the native requests."""

    provider: ProviderName | None = None
    providers: tuple[ProviderName, ...] = Field(default=(), max_length=20)
    strategy: Strategy | None = None
    force_model: bool = False
    max_cost_usd: Annotated[Decimal, Field(gt=0, le=1000, max_digits=10, decimal_places=6)] | None = None
    deadline_s: Annotated[int, Field(ge=5, le=1800)] = 300
    session_id: SessionId | None = None
    tags: tuple[Tag, ...] = Field(default=(), max_length=9)
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    negative_prompt: str | None = Field(default=None, max_length=2000)


class ImageParameters(Frozen):
    """The body of `POST /v1/images/generations`, and of `/v1/images/edits` without its pictures."""

    prompt: Prompt = Field(examples=["a lighthouse made of glass, at dusk"])
    model: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        default=None, description="A model of the catalog; empty: the default.", examples=["gpt-image-2.5-flare"]
    )
    n: int | None = Field(default=None, ge=1, le=10)
    size: str | None = Field(default=None, pattern=r"^(auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$", examples=["1024x1024"])
    quality: Literal["auto", "low", "medium", "high", "standard", "hd"] | None = None
    background: Literal["auto", "opaque", "transparent"] | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_compression: int | None = Field(
        default=None, description="100, which is OpenAI's default, and nothing else."
    )
    response_format: Literal["b64_json", "url"] | None = Field(default=None, description="`url`: links of one hour.")
    stream: bool | None = None
    partial_images: int | None = Field(default=None, ge=0, le=3, description="With `stream`: at most so many.")
    moderation: Literal["auto"] | None = None
    user: EndUser | None = Field(
        default=None,
        description="Kept as the tag `user.` and 16 digits of its SHA-256; as user_id, too, where it has the form of one.",
    )
    safety_identifier: EndUser | None = Field(default=None, description="The same as `user`, and goes before it.")
    diorama: DioramaOptions = DioramaOptions()

    @property
    def is_streamed(self) -> bool:
        """Whether the answer is to come as events."""
        return bool(self.stream)

    @property
    def as_links(self) -> bool:
        """Whether pictures are answered as links instead of bytes."""
        return self.response_format == "url"

    def refused_together(self) -> tuple[str, str] | None:
        """(parameter, why) of the first that does not fit the others."""
        if self.background == "transparent" and self.output_format == "jpeg":
            return "background", "A transparent background needs output_format png or webp."
        if self.partial_images and not self.is_streamed:
            return "partial_images", "partial_images needs stream=true."
        if self.is_streamed and self.as_links:
            return "response_format", "A stream carries the pictures themselves: leave response_format out."
        return None

    def request(self, image_asset_ids: tuple[UUID, ...] = ()) -> ImageRequest:
        """The request of ours that it means. Raises ValidationError."""
        options = self.diorama
        return ImageRequest(
            kind=Kind.image,
            prompt=self.prompt,
            size=self.size if self.size not in {None, "auto"} else "native",
            count=self.n or 1,
            image_asset_ids=image_asset_ids,
            quality=_QUALITIES[self.quality or "auto"],
            model=self.model,
            provider=options.provider,
            providers=options.providers,
            strategy=options.strategy,
            force_model=options.force_model,
            max_cost_usd=options.max_cost_usd,
            deadline_s=options.deadline_s,
            session_id=options.session_id,
            user_id=self._user_id(),
            tags=(*options.tags, *self._user_tag()),
            traits=PictureTraits(
                seed=options.seed,
                negative_prompt=options.negative_prompt,
                transparent=self.background == "transparent",
                output_format=self.output_format or "png",
                partials=self.partial_images or 0,
            ),
        )

    @property
    def _who(self) -> str | None:
        return self.safety_identifier or self.user

    def _user_id(self) -> str | None:
        """Who it is for, where it has the form of a `user_id`: mail addresses and names with spaces have not."""
        return self._who if self._who and _USER_ID.fullmatch(self._who) else None

    def _user_tag(self) -> tuple[Tag, ...]:
        """Enough to find an end user's pictures again, and nothing that names anybody."""
        return (f"user.{hashlib.sha256(self._who.encode()).hexdigest()[:16]}",) if self._who else ()


def unsupported(given: dict[str, Any]) -> tuple[str, str] | None:
    """(parameter, why) of the first that OpenAI knows and we refuse; one that is null or absent is not given."""
    named = (name for name, value in given.items() if value is not None and value not in _MET.get(name, ()))
    return next(((name, UNSUPPORTED[name]) for name in named if name in UNSUPPORTED), None)
