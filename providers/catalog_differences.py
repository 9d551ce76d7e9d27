"""What differs between a row of the catalog and what the provider says of the model today."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from providers.input_fields import InputFields
from providers.input_schema import InputSchema
from providers.model_entry import ModelEntry

# Of the inputs that a row names, those that are numbers within the limits that the row's traits give.
_RANGES = ("steps", "guidance")
# Inputs that are none of our wishes' but of the account's or of how the answer comes.
_NO_WISHES = {"openai_api_key", "webhook", "stream"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing; `is_refused`: what we send would not be taken. `found`: fields of the row that would put it right."""

    provider: str
    model: str
    what: str
    is_refused: bool = False
    found: Mapping[str, Any] = field(default_factory=dict)


def shutdown_difference(entry: ModelEntry, announced: date | None) -> Difference | None:
    """None when the row has the provider's own shutdown date, or the provider announces none."""
    if announced is None or announced == entry.shutdown:
        return None
    ours = f"on {entry.shutdown}" if entry.shutdown else "not at all"
    what = f"it is shut down on {announced}, and in the catalog {ours}"
    return Difference(entry.provider, entry.model, what, found={"shutdown": announced})


def price_difference(entry: ModelEntry, usd: Decimal | None) -> Difference | None:
    """None when a picture costs what the row says, or the provider says nothing of it, or the row has another price rule.

    Nothing is `found`: what is held for a purchase follows from the price, so people decide about it.
    """
    ours = entry.flat_usd
    if usd is None or ours is None or usd == ours:
        return None
    above = f", more than the {entry.most_usd(ours):f} that are held for it" if usd > entry.most_usd(ours) else ""
    return Difference(entry.provider, entry.model, f"a picture costs {usd:f} USD{above}, and in the catalog {ours:f}")


def gone(entry: ModelEntry, today: date) -> Difference:
    """The provider does not have the model, which is no news after its shutdown date."""
    what = "the provider does not have it (any more)"
    return Difference(entry.provider, entry.model, what, is_refused=not entry.is_retired(today))


def input_differences(entry: ModelEntry, schema: InputSchema) -> list[Difference]:
    """All that a row says about a model's inputs, compared with the model's own description of them."""
    return [*_refused(entry, schema), *_pictures(entry, schema), *_ranges(entry, schema), *_unused(entry, schema)]


def _refused(entry: ModelEntry, schema: InputSchema) -> Iterator[Difference]:
    names = named_inputs(entry.input)
    missing = [name for name in [*names.values(), *entry.input.fixed] if name not in schema.properties]
    unsent = schema.required - set(names.values()) - entry.input.fixed.keys()
    for name in dict.fromkeys(missing):
        yield _refusal(entry, f"input {name}: the model has no such input")
    for name in sorted(unsent):
        yield _refusal(entry, f"input {name}: the model needs it, and we never send it")
    for name, value in _sent_values(entry):
        if name not in missing and (why := schema.refusal(name, value)):
            yield _refusal(entry, f"input {name} = {value}: {why}")


def _pictures(entry: ModelEntry, schema: InputSchema) -> Iterator[Difference]:
    name, ours = entry.input.references, entry.max_references
    if name is None or name not in schema.properties:
        return
    if schema.is_list(name) == entry.input.one_image:
        takes = "a list of pictures" if entry.input.one_image else "one picture, and no list"
        yield _refusal(entry, f"input {name}: the model takes {takes}")
    theirs = schema.most_items(name)
    if theirs is not None and theirs != ours:
        what = f"input {name}: the model takes {theirs} pictures, the catalog {ours}"
        found = {"max_references": theirs} if theirs < ours else {}  # a row may take fewer on purpose: they cost money
        yield Difference(entry.provider, entry.model, what, is_refused=theirs < ours, found=found)


def _ranges(entry: ModelEntry, schema: InputSchema) -> Iterator[Difference]:
    """Limits of ours that the model does not share: wider ones would be refused, narrower ones leave something out."""
    for trait in _RANGES:
        name, ours = getattr(entry.input, trait), getattr(entry.traits, trait)
        if name not in schema.properties or ours is None:
            continue
        least, most = schema.range(name)
        theirs = ours[0] if least is None else least, ours[1] if most is None else most
        if theirs == ours:
            continue
        is_wider = ours[0] < theirs[0] or ours[1] > theirs[1]
        what = f"input {name}: the model takes {theirs[0]:g} to {theirs[1]:g}, the catalog {ours[0]:g} to {ours[1]:g}"
        both = max(ours[0], theirs[0]), min(ours[1], theirs[1])  # a row may be narrower on purpose: steps cost money
        found = {"traits": {trait: [_plain(bound) for bound in both]}} if is_wider else {}
        yield Difference(entry.provider, entry.model, what, is_refused=is_wider, found=found)


def _unused(entry: ModelEntry, schema: InputSchema) -> Iterator[Difference]:
    used = {*named_inputs(entry.input).values(), *entry.input.fixed, *_NO_WISHES}
    unknown = [name for name in schema.properties if name not in used]
    if unknown:
        yield Difference(entry.provider, entry.model, f"inputs that the row does not use: {', '.join(unknown)}")


def _sent_values(entry: ModelEntry) -> Iterator[tuple[str, object]]:
    """What we send that can be told from the row alone."""
    names = entry.input
    yield from names.fixed.items()
    if names.quality:
        yield from ((names.quality, quality) for quality in entry.qualities)
    if names.format:
        yield from ((names.format, wanted) for wanted in entry.traits.formats)
    if names.scale:
        yield from ((names.scale, scale) for scale in entry.traits.scales)
    if names.background and entry.traits.transparent:
        yield names.background, "transparent"
    for recipe in entry.recipes:
        sizes = ((names.size, recipe.request), (names.width, recipe.width), (names.height, recipe.height))
        yield from ((name, value) for name, value in sizes if name)
    if grid := entry.size_grid:
        sides = (grid.shortest_side, grid.longest_side - grid.longest_side % grid.multiple)
        yield from ((name, side) for name in (names.width, names.height) if name for side in sides)


def named_inputs(names: InputFields) -> dict[str, str]:
    """The inputs that a row names, by what they are to us."""
    given = names.model_dump(exclude={"fixed", "one_image"}, exclude_none=True)
    return {ours: str(theirs) for ours, theirs in given.items()}


def _refusal(entry: ModelEntry, what: str) -> Difference:
    return Difference(entry.provider, entry.model, what, is_refused=True)


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number
