"""Which models of the catalog can make a picture: one filter after the other, each with its own refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from contracts.requests import Quality
from contracts.statuses import Step
from errors import InvalidRequest, ModelRetired, UnknownModel, UnsupportedSize
from providers.model_entry import Capability, ModelEntry, ProviderEntry, Shape

_SHAPES: dict[Step, Shape] = {Step.avatar: "square", Step.scene: "wide"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a picture shall be, and who is wished to make it; `size` in pixels."""

    step: Step
    size: tuple[int, int] | None
    quality: Quality
    references: int
    provider: str | None
    model: str | None
    force: bool
    today: date

    @property
    def shape(self) -> Shape:
        """The shape of the step's picture."""
        return _SHAPES[self.step]

    @property
    def capability(self) -> Capability:
        """What the model must be able to do."""
        return "image_to_image" if self.references else "text_to_image"


def select(
    models: Sequence[ModelEntry], providers: Mapping[str, ProviderEntry], wish: Wish, configured: frozenset[str]
) -> list[ModelEntry]:
    """The models that fit the wish, best first; never empty.

    Raises UnknownModel, ModelRetired, InvalidRequest, UnsupportedSize: the first thing that leaves nothing over.
    """
    named = _named(models, wish)
    reachable = _configured(named, providers, configured)
    alive = _not_retired(reachable, wish)
    return _able(alive, wish)


def _named(models: Sequence[ModelEntry], wish: Wish) -> list[ModelEntry]:
    of_provider = [entry for entry in models if wish.provider in {None, entry.provider}]
    if wish.model is None:
        return [entry for entry in of_provider if entry.automatic] or of_provider
    exact = [entry for entry in of_provider if entry.model == wish.model]
    families = {entry.family for entry in exact} or {wish.model}
    relatives = [entry for entry in of_provider if entry.family in families and entry not in exact]
    if not exact and not relatives:
        at = f" at {wish.provider}" if wish.provider else ""
        raise UnknownModel(f"The catalog has no model {wish.model!r}{at}.")
    return [*exact, *relatives]


def _configured(
    named: Sequence[ModelEntry], providers: Mapping[str, ProviderEntry], configured: frozenset[str]
) -> list[ModelEntry]:
    reachable = [entry for entry in named if entry.provider in configured]
    if not reachable:
        wanted = dict.fromkeys(entry.provider for entry in named)
        keys = " or ".join(providers[name].key_variable for name in wanted)
        raise UnknownModel(f"No provider of this model is configured here: the operator must set {keys}.")
    return reachable


def _not_retired(reachable: Sequence[ModelEntry], wish: Wish) -> list[ModelEntry]:
    alive = [entry for entry in reachable if wish.force or not entry.is_retired(wish.today)]
    if not alive:
        gone = reachable[0]
        instead = f" Use {gone.replaced_by} instead." if gone.replaced_by else ""
        raise ModelRetired(
            f"{gone.model} was shut down on {gone.shutdown}.{instead}",
            model=gone.model,
            shutdown=str(gone.shutdown),
            replaced_by=gone.replaced_by,
        )
    return alive


def _able(alive: Sequence[ModelEntry], wish: Wish) -> list[ModelEntry]:
    able = [
        entry
        for entry in alive
        if wish.capability in entry.capabilities
        and wish.references <= entry.max_references
        and wish.quality in entry.qualities
    ]
    if not able:
        pictures = f"{wish.references} reference pictures" if wish.references else "a description alone"
        raise InvalidRequest(f"{alive[0].model} cannot work from {pictures} at quality {wish.quality}.")
    fitting = [entry for entry in able if _makes(entry, wish)]
    if not fitting:
        able[0].recipe(wish.shape, wish.size)  # raises with the first model's own words
    return fitting


def _makes(entry: ModelEntry, wish: Wish) -> bool:
    try:
        entry.recipe(wish.shape, wish.size)
    except UnsupportedSize:
        return False
    return True
