"""The tables of docs/models.md, written from the catalog."""

from collections.abc import Iterator, Sequence

from contracts.wishes import Capability
from providers.catalog import Catalog
from providers.model_entry import ModelEntry

SHORT: dict[Capability, str] = {
    "text_to_image": "words",
    "image_to_image": "references",
    "image_variation": "variation",
    "sketch_to_image": "sketch",
    "upscale": "upscale",
    "face_restore": "faces",
}


def models_table() -> list[tuple[str, ...]]:
    """One row a model, in the order in which they are tried."""
    head = ("model", "provider", "can", "pictures", "sizes", "knows", "USD a picture", "quality", "checked")
    return [head, ("---",) * len(head), *(_row(entry) for entry in Catalog.load().models)]


def endings_table() -> list[tuple[str, ...]]:
    """The models whose end is known, the earliest first."""
    ending = [entry for entry in Catalog.load().models if entry.shutdown is not None]
    rows = [
        (f"`{entry.model}`", entry.provider, str(entry.shutdown), f"`{entry.replaced_by}`")
        for entry in sorted(ending, key=lambda entry: (str(entry.shutdown), entry.preference))
    ]
    return [("model", "provider", "refused from", "use instead"), ("---",) * 4, *rows]


def _row(entry: ModelEntry) -> tuple[str, ...]:
    return (
        f"`{entry.model}`" + (" (recommended)" if entry.automatic else ""),
        entry.provider,
        ", ".join(SHORT[capability] for capability in entry.capabilities),
        str(entry.max_references),
        ", ".join(_sizes(entry)),
        ", ".join(_knows(entry)) or "nothing more",
        _price(entry),
        str(entry.quality_rank),
        str(entry.checked),
    )


def _sizes(entry: ModelEntry) -> Iterator[str]:
    yield from dict.fromkeys(f"{recipe.width}x{recipe.height}" for recipe in entry.recipes)
    if grid := entry.size_grid:
        yield f"any of up to {grid.most_pixels / 1_000_000:.1f} megapixels, {grid.widest_ratio:g}:1"
    if not entry.is_sized:
        scales = entry.traits.scales
        yield f"{' or '.join(map(str, scales))} times the input" if scales else "that of the input"


def _knows(entry: ModelEntry) -> Iterator[str]:
    limits = entry.traits
    for name in ("seed", "negative_prompt", "strength", "transparent"):
        if getattr(limits, name):
            yield name
    for name in ("steps", "guidance"):
        if bounds := getattr(limits, name):
            yield f"{name} {bounds[0]:g} to {bounds[1]:g}"
    if entry.has_quality_levels:
        yield f"quality {_list(entry.qualities)}"
    yield f"gives {_list(limits.formats)}"


def _price(entry: ModelEntry) -> str:
    if entry.prices:
        lows = [min(row.values()) for row in entry.prices.values()]
        highs = [max(row.values()) for row in entry.prices.values()]
        return f"{min(lows):f} to {max(highs):f}"
    if entry.per_megapixel_usd is not None:
        return f"{entry.per_megapixel_usd:f} a megapixel"
    price = entry.picture_usd("medium", None)
    return f"about {price.normalize():f}" if entry.per_second_usd is not None else f"{price:f}"


def _list(words: Sequence[str]) -> str:
    return "/".join(words)
