"""Sizes that are asked of a model with a grid: always on the grid, and covering what is wanted."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.wishes import Shape
from providers.sizes import MAX_ENLARGEMENT, SizeGrid

GPT_IMAGE = SizeGrid(multiple=16, least_pixels=655_360, most_pixels=8_294_400, longest_side=3840, widest_ratio=3)
grids = st.builds(
    SizeGrid,
    multiple=st.sampled_from([1, 8, 16, 32, 64]),
    least_pixels=st.sampled_from([1, 65_536, 655_360]),
    most_pixels=st.sampled_from([1_048_576, 2_359_296, 8_294_400]),
    longest_side=st.sampled_from([1440, 1536, 2048, 4096]),
    widest_ratio=st.sampled_from([1.0, 2.0, 21 / 9, 3.0]),
)


def shape_of(size: tuple[int, int]) -> Shape:
    if size[0] == size[1]:
        return "square"
    return "wide" if size[0] > size[1] else "tall"


@pytest.mark.parametrize(
    ("wanted", "request_value"),
    [
        ((1024, 1024), "1024x1024"),
        ((1920, 1080), "1920x1088"),
        ((1080, 1920), "1088x1920"),
        ((3840, 2160), "3840x2160"),
        ((512, 512), "816x816"),  # too few pixels: made larger and reduced
        ((4096, 2304), "3840x2160"),  # too many: made as large as can be and enlarged
        ((3000, 500), "3008x1008"),  # too wide: made higher and cut
    ],
)
def test_a_size_is_asked_for_as_it_is_or_as_the_smallest_that_it_can_be_cut_from(
    wanted: tuple[int, int], request_value: str
) -> None:
    recipe = GPT_IMAGE.recipe(shape_of(wanted), wanted)

    assert recipe is not None
    assert recipe.request == request_value


def test_a_size_that_would_have_to_be_blown_up_is_not_asked_for() -> None:
    assert GPT_IMAGE.recipe("wide", (8000, 4500)) is None


def test_a_size_is_written_in_the_vendors_own_way() -> None:
    grid = GPT_IMAGE.model_copy(update={"request": "{width}*{height}"})
    recipe = grid.recipe("square", (1024, 1024))

    assert recipe is not None
    assert recipe.request == "1024*1024"


@given(grid=grids, wanted=st.tuples(st.integers(10, 9999), st.integers(10, 9999)))
def test_what_is_asked_for_lies_on_the_grid_and_covers_what_is_wanted(grid: SizeGrid, wanted: tuple[int, int]) -> None:
    recipe = grid.recipe(shape_of(wanted), wanted)
    assume(recipe is not None)
    assert recipe is not None

    assert grid.has(recipe.gives)
    assert recipe.enlargement(wanted) <= MAX_ENLARGEMENT


@given(width=st.integers(10, 3840), height=st.integers(10, 3840))
def test_every_size_within_the_limits_can_be_made_without_enlarging(width: int, height: int) -> None:
    assume(max(width, height) <= 2.9 * min(width, height))
    assume(width * height <= 8_000_000)

    recipe = GPT_IMAGE.recipe(shape_of((width, height)), (width, height))

    assert recipe is not None
    assert recipe.enlargement((width, height)) <= 1


@pytest.mark.parametrize("shape", ["square", "wide", "tall"])
def test_an_open_size_has_the_wanted_shape(shape: Shape) -> None:
    recipe = GPT_IMAGE.recipe(shape, None)

    assert recipe is not None
    assert shape_of(recipe.gives) == shape
