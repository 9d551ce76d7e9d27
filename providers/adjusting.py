"""What becomes of the wishes that a model cannot meet as they are: each is told, none is dropped silently."""

from dataclasses import dataclass, field
from typing import Any

from contracts.requests import PlannedPicture, Quality
from contracts.wishes import Adjustment, Capability, OutputFormat, PictureTraits
from providers.model_entry import ModelEntry

# Only where a picture is changed does it matter how much of it is kept.
_CHANGES_A_PICTURE: frozenset[Capability] = frozenset({"image_variation", "sketch_to_image", "face_restore"})

# The quality of a request that says nothing about it: a model without levels meets it.
_UNSAID_QUALITY: Quality = "medium"


@dataclass(slots=True)
class _Fitting:
    """The traits of one picture on their way to a model: what changes, and why."""

    entry: ModelEntry
    traits: PictureTraits
    changes: dict[str, Any] = field(default_factory=dict)
    told: list[Adjustment] = field(default_factory=list)

    def leave_out(self, name: str, wanted: str, *, instead: object = None) -> None:
        """This model has no such setting."""
        self.changes[name] = instead
        self.told.append(Adjustment(parameter=name, wanted=wanted, why=f"{self.entry.title} does not know it."))

    def put_within(self, name: str, limits: tuple[float, float] | None) -> None:
        """A number that must lie within the model's limits."""
        value = getattr(self.traits, name)
        if value is None:
            return
        if limits is None:
            self.leave_out(name, f"{value:g}")
        elif not limits[0] <= value <= limits[1]:
            self.changes[name] = nearest = min(max(value, limits[0]), limits[1])
            why = f"{self.entry.title} takes {limits[0]:g} to {limits[1]:g}."
            self.told.append(Adjustment(parameter=name, wanted=f"{value:g}", given=f"{nearest:g}", why=why))


def fit_traits(
    entry: ModelEntry, traits: PictureTraits, capability: Capability
) -> tuple[PictureTraits, tuple[Adjustment, ...]]:
    """What of the traits can be asked of the model, and what had to be changed or left out for that.

    The format is what the model is asked for, and no adjustment: the picture is converted into what the client wants.
    """
    fitting = _Fitting(entry, traits)
    limits = entry.traits
    if traits.negative_prompt is not None and not limits.negative_prompt:
        fitting.leave_out("negative_prompt", "given")  # never its words: adjustments travel through histories
    if traits.seed is not None and not limits.seed:
        fitting.leave_out("seed", str(traits.seed))
    if traits.strength is not None and not (limits.strength and capability in _CHANGES_A_PICTURE):
        fitting.leave_out("strength", f"{traits.strength:g}")
    if traits.transparent and not limits.transparent:
        fitting.leave_out("transparent", "true", instead=False)
    fitting.put_within("steps", limits.steps)
    fitting.put_within("guidance", limits.guidance)
    _fit_scale(fitting, limits.scales if capability == "upscale" else ())
    fitting.changes["output_format"] = _asked_format(entry, traits)
    return traits.model_copy(update=fitting.changes), tuple(fitting.told)


def quality_adjustment(entry: ModelEntry, quality: Quality) -> Adjustment | None:
    """Told when a quality is wished for from a model that has no levels."""
    if entry.has_quality_levels or quality == _UNSAID_QUALITY:
        return None
    return Adjustment(parameter="quality", wanted=quality, why=f"{entry.title} has one quality only.")


def small_changes(entry: ModelEntry, planned: PlannedPicture) -> tuple[Adjustment, ...]:
    """What is done to a picture after it was made so that it is what was wanted: enlarged, or converted from a lossy format."""
    told: list[Adjustment] = []
    if planned.size is not None and entry.is_sized:
        recipe = entry.recipe(planned.shape, planned.size)
        times = recipe.enlargement(planned.size)
        if times > 1:
            why = f"{entry.title} makes no larger one: enlarged {times:.2f} times."
            given = f"{recipe.width}x{recipe.height}"
            told.append(
                Adjustment(parameter="size", wanted=f"{planned.size[0]}x{planned.size[1]}", given=given, why=why)
            )
    wanted, asked = planned.traits.output_format, _asked_format(entry, planned.traits)
    if asked not in {wanted, "png"}:
        why = f"{entry.title} makes no {wanted}: converted."
        told.append(Adjustment(parameter="output_format", wanted=wanted, given=asked, why=why))
    return tuple(told)


def _fit_scale(fitting: _Fitting, scales: tuple[int, ...]) -> None:
    wanted = fitting.traits.scale
    if wanted is None or wanted in scales:
        return
    if not scales:
        fitting.leave_out("scale", str(wanted))
        return
    nearest = min(scales, key=lambda scale: (abs(scale - wanted), scale))
    fitting.changes["scale"] = nearest
    why = f"{fitting.entry.title} makes pictures {', '.join(map(str, scales))} times larger."
    fitting.told.append(Adjustment(parameter="scale", wanted=str(wanted), given=str(nearest), why=why))


def _asked_format(entry: ModelEntry, traits: PictureTraits) -> OutputFormat:
    """What the client wants where the model has it; else a format that loses nothing; else what there is."""
    formats = entry.traits.formats
    for wanted in (traits.output_format, "png"):
        if wanted in formats and not (traits.transparent and wanted == "jpeg"):
            return wanted
    return formats[0]
