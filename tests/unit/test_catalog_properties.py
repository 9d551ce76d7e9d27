"""Every row of the catalog against every wish: what is chosen can do it, is priced within bounds, and hides no adjustment."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.pictures import Candidate
from contracts.requests import PlannedPicture, Quality
from contracts.statuses import Step
from contracts.wishes import Capability, OutputFormat, PictureTraits, Shape
from errors import RequestError, UnsupportedSize
from providers.catalog import Catalog
from providers.model_entry import ModelEntry
from providers.price_rules import QUALITIES
from providers.sizes import MAX_ENLARGEMENT
from providers.wish import Wish

TODAY = date(2026, 11, 21)
CATALOG = Catalog.load()
EVERYBODY = frozenset(provider.name for provider in CATALOG.providers)
ENTRIES = pytest.mark.parametrize("entry", CATALOG.models, ids=lambda entry: f"{entry.provider} {entry.model}")
CAPABILITIES: dict[Capability, int] = {
    "text_to_image": 0,
    "image_to_image": 1,
    "image_variation": 1,
    "sketch_to_image": 1,
    "upscale": 1,
    "face_restore": 1,
}
SHAPES: tuple[Shape, ...] = ("square", "wide", "tall")
FORMATS: tuple[OutputFormat, ...] = ("png", "jpeg", "webp")

sides = st.integers(10, 9999)
sizes = st.none() | st.tuples(sides, sides)
traits = st.builds(
    PictureTraits,
    negative_prompt=st.none() | st.just("hands"),
    seed=st.none() | st.integers(0, 2**31 - 1),
    steps=st.none() | st.integers(1, 500),
    guidance=st.none() | st.floats(0, 50),
    strength=st.none() | st.floats(0, 1),
    transparent=st.booleans(),
    output_format=st.sampled_from(FORMATS),
    scale=st.none() | st.integers(2, 4),
)


@st.composite
def pictures(draw: st.DrawFn) -> PlannedPicture:
    capability = draw(st.sampled_from(list(CAPABILITIES)))
    references = CAPABILITIES[capability]
    if capability == "image_to_image":
        references = draw(st.integers(1, 17))
    size = None if capability in {"upscale", "face_restore"} else draw(sizes)
    few = draw(st.just(PictureTraits()) | traits)
    return PlannedPicture(Step.variant_1, size, references, capability, few)


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    entry = draw(st.sampled_from(CATALOG.models))
    named: dict[str, Any] = draw(
        st.sampled_from(
            [
                {},
                {"provider": entry.provider},
                {"model": entry.model},
                {"model": entry.family},
                {"providers": (entry.provider,)},
                {"model": entry.model, "provider": entry.provider, "strategy": "pinned"},
            ]
        )
    )
    chosen = {"strategy": draw(st.sampled_from([None, "cheapest", "fastest", "best", "balanced"])), **named}
    most = draw(st.none() | st.decimals("0.001", 2, places=3))
    return Wish(quality=draw(st.sampled_from(QUALITIES)), today=TODAY, max_cost_usd=most, **chosen)


def misses_nothing(entry: ModelEntry, planned: PlannedPicture, quality: Quality) -> bool:
    told = CATALOG.traits_for(entry, planned.traits, planned.capability)[1]
    return not told and (entry.has_quality_levels or quality == "medium")


def check(candidate: Candidate, planned: PlannedPicture, wish: Wish) -> None:
    entry = CATALOG.entry(candidate.provider, candidate.model)
    assert planned.capability in entry.capabilities
    assert planned.references <= entry.max_references
    assert wish.quality in entry.qualities
    assert wish.allows(entry.provider)
    assert not entry.is_retired(TODAY)
    assert candidate.likely_usd is not None
    assert Decimal(0) < candidate.likely_usd <= candidate.max_usd
    if planned.size is not None:
        assert entry.recipe(planned.shape, planned.size).enlargement(planned.size) <= MAX_ENLARGEMENT


@given(planned=pictures(), wish=wishes(), count=st.integers(1, 4))
def test_whoever_is_chosen_can_do_it_and_says_what_is_changed(planned: PlannedPicture, wish: Wish, count: int) -> None:
    try:
        plans = CATALOG.plan([planned] * count, wish, configured=EVERYBODY, review_above_usd=Decimal(1))
    except RequestError:
        return
    for models in plans:
        exact = [misses_nothing(CATALOG.entry(one.provider, one.model), planned, wish.quality) for one in models]
        assert exact[0]
        assert exact == sorted(exact, reverse=True)
        for candidate, is_exact in zip(models, exact, strict=True):
            check(candidate, planned, wish)
            assert is_exact or candidate.adjustments
        assert {told.parameter for told in models[0].adjustments} <= {"size", "output_format"}
        assert wish.strategy != "pinned" or len(models) == 1
    if wish.max_cost_usd is not None:
        assert sum(max(one.max_usd for one in models) for models in plans) <= wish.max_cost_usd


@ENTRIES
@given(wanted=traits, capability=st.sampled_from(list(CAPABILITIES)))
def test_a_model_is_only_asked_for_what_it_knows(
    entry: ModelEntry, wanted: PictureTraits, capability: Capability
) -> None:
    kept, told = CATALOG.traits_for(entry, wanted, capability)
    limits = entry.traits

    assert kept.seed is None or limits.seed
    assert kept.negative_prompt is None or limits.negative_prompt
    assert kept.strength is None or limits.strength
    assert not kept.transparent or (limits.transparent and kept.output_format != "jpeg")
    assert kept.steps is None or (limits.steps and limits.steps[0] <= kept.steps <= limits.steps[1])
    assert kept.guidance is None or (limits.guidance and limits.guidance[0] <= kept.guidance <= limits.guidance[1])
    assert kept.scale is None or kept.scale in limits.scales
    assert kept.output_format in limits.formats
    changed = {name for name in PictureTraits.model_fields if getattr(kept, name) != getattr(wanted, name)}
    assert {one.parameter for one in told} == changed - {"output_format"}
    assert CATALOG.traits_for(entry, kept, capability) == (kept, ())


@ENTRIES
@given(shape=st.sampled_from(SHAPES), size=sizes, quality=st.sampled_from(QUALITIES), references=st.integers(0, 4))
def test_a_price_is_more_than_nothing_and_no_more_than_what_is_held(
    entry: ModelEntry, shape: Shape, size: tuple[int, int] | None, quality: Quality, references: int
) -> None:
    if quality not in entry.qualities:
        return
    try:
        likely = entry.price(quality=quality, shape=shape, size=size, references=references)
    except UnsupportedSize:
        return
    most = entry.max_price(quality=quality, shape=shape, size=size, references=references)

    assert Decimal(0) < likely <= most < Decimal(5)


@ENTRIES
def test_a_model_gives_pictures_of_its_open_shapes(entry: ModelEntry) -> None:
    shapes = [shape for shape in SHAPES if entry.is_sized and entry.recipe(shape, None).shape == shape]

    assert bool(shapes) == entry.is_sized
