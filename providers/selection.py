"""Which models of the catalog can make a picture: one filter after the other, each with its own refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.requests import PlannedPicture
from contracts.wishes import Adjustment, Capability
from errors import InvalidRequest, ModelRetired, UnknownModel, UnsupportedParameter, UnsupportedSize
from providers.adjusting import fit_traits, quality_adjustment, small_changes
from providers.model_entry import ModelEntry, ProviderEntry
from providers.wish import Wish

_DEEDS: dict[Capability, str] = {
    "text_to_image": "work from a description alone",
    "image_to_image": "work from reference pictures",
    "image_variation": "change a picture by a strength",
    "sketch_to_image": "draw from a sketch",
    "upscale": "enlarge a picture",
    "face_restore": "restore faces",
}


@dataclass(frozen=True, slots=True)
class Fit:
    """A model that can make a picture; `missing`: the wishes that it cannot meet; `small`: what is mended afterwards."""

    entry: ModelEntry
    missing: tuple[Adjustment, ...]
    small: tuple[Adjustment, ...]


def select(
    models: Sequence[ModelEntry],
    providers: Mapping[str, ProviderEntry],
    planned: PlannedPicture,
    wish: Wish,
    configured: frozenset[str],
) -> list[Fit]:
    """The models that fit, best first; never empty, and the first one misses nothing.

    Raises UnknownModel, ModelRetired, InvalidRequest, UnsupportedSize, UnsupportedParameter: the first thing that leaves
    nothing over.
    """
    named = _named(models, wish)
    reachable = _configured(named, providers, configured)
    alive = _not_retired(reachable, wish)
    able = _able(_recommended(_capable(alive, planned, wish), planned, wish), planned, wish)
    fits = [_fit(entry, planned, wish) for entry in able]
    if not any(not fit.missing for fit in _first_choices(fits, wish)):
        reachable_at_all = [entry for entry in models if entry.provider in configured]
        raise _unsupported(_first_choices(fits, wish)[0], reachable_at_all, planned, wish)
    return sorted(fits, key=lambda fit: bool(fit.missing))  # stable: the order of preference stays


def _named(models: Sequence[ModelEntry], wish: Wish) -> list[ModelEntry]:
    allowed = [entry for entry in models if wish.allows(entry.provider)]
    if not allowed:
        raise InvalidRequest("The provider is not one of providers: nobody may make the picture.")
    if wish.model is None:
        return allowed
    exact = [entry for entry in allowed if entry.model == wish.model]
    families = {entry.family for entry in exact} or {wish.model}
    relatives = [entry for entry in allowed if entry.family in families and entry not in exact]
    found = exact if wish.strategy == "pinned" else [*exact, *relatives]
    if not found:
        at = f" at {wish.provider or ' or '.join(wish.providers)}" if wish.provider or wish.providers else ""
        raise UnknownModel(f"The catalog has no model {wish.model!r}{at}.")
    return found


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


def _capable(alive: Sequence[ModelEntry], planned: PlannedPicture, wish: Wish) -> list[ModelEntry]:
    capable = [entry for entry in alive if planned.capability in entry.capabilities]
    if not capable:
        who = f"{alive[0].model} cannot" if wish.model else "No model that may be used here can"
        raise InvalidRequest(f"{who} {_DEEDS[planned.capability]}.")
    return capable


def _recommended(capable: Sequence[ModelEntry], planned: PlannedPicture, wish: Wish) -> Sequence[ModelEntry]:
    """The automatic ones; all where the client chose, or where no automatic one makes the picture just as it is wished."""
    automatic = [entry for entry in capable if entry.automatic and not wish.takes_any_model]
    meets_all = any(
        _takes(entry, planned, wish) and _makes(entry, planned) and not _fit(entry, planned, wish).missing
        for entry in automatic
    )
    return automatic if meets_all else capable


def _able(capable: Sequence[ModelEntry], planned: PlannedPicture, wish: Wish) -> list[ModelEntry]:
    able = [entry for entry in capable if _takes(entry, planned, wish)]
    if not able:
        pictures = f"{planned.references} reference pictures" if planned.references else "a description alone"
        raise InvalidRequest(f"{capable[0].model} cannot work from {pictures} at quality {wish.quality}.")
    fitting = [entry for entry in able if _makes(entry, planned)]
    if not fitting:
        able[0].recipe(planned.shape, planned.size)  # raises with the first model's own words
    return fitting


def _takes(entry: ModelEntry, planned: PlannedPicture, wish: Wish) -> bool:
    return planned.references <= entry.max_references and wish.quality in entry.qualities


def _makes(entry: ModelEntry, planned: PlannedPicture) -> bool:
    if not entry.is_sized:
        return planned.size is None
    try:
        entry.recipe(planned.shape, planned.size)
    except UnsupportedSize:
        return False
    return True


def _fit(entry: ModelEntry, planned: PlannedPicture, wish: Wish) -> Fit:
    _, missing = fit_traits(entry, planned.traits, planned.capability)
    if level := quality_adjustment(entry, wish.quality):
        missing = (*missing, level)
    return Fit(entry, missing=missing, small=small_changes(entry, planned))


def _first_choices(fits: Sequence[Fit], wish: Wish) -> Sequence[Fit]:
    """Of whom one must miss nothing: the model that the client named, or else any."""
    return [fit for fit in fits if fit.entry.model == wish.model] or fits


def _unsupported(
    chosen: Fit, reachable: Sequence[ModelEntry], planned: PlannedPicture, wish: Wish
) -> UnsupportedParameter:
    lacking = chosen.missing[0]
    who_knows = [
        entry.model
        for entry in reachable
        if planned.capability in entry.capabilities
        and not entry.is_retired(wish.today)
        and all(told.parameter != lacking.parameter for told in _fit(entry, planned, wish).missing)
    ]
    known = ", ".join(dict.fromkeys(who_knows))
    takers = f" These take it as it is: {known}." if known else " No model here takes it as it is."
    return UnsupportedParameter(
        f"{lacking.parameter} = {lacking.wanted}: {lacking.why}{takers}",
        parameter=lacking.parameter,
        model=chosen.entry.model,
        known_by=known,
    )
