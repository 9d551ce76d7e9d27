"""The usual ratios of a model's pictures: by the sizes that it has by name, and by how wide its grid is."""

import pytest

from contracts.wishes import Shape
from providers.aspect_ratios import USUAL, aspect_ratios
from providers.sizes import SizeGrid, SizeRecipe
from tests.asking_the_catalog import CATALOG


def of_size(width: int, height: int) -> tuple[str, ...]:
    recipe = SizeRecipe(shape="wide", request="as it is", width=width, height=height)
    return aspect_ratios([recipe], None)


@pytest.mark.parametrize(
    ("size", "ratios"),
    [
        ((1024, 1024), ("1:1",)),
        ((1920, 1088), ("16:9",)),
        ((1344, 768), ("16:9",)),
        ((768, 1344), ("9:16",)),
        ((1024, 1536), ("2:3",)),
        ((1000, 730), ()),  # a thirtieth from 4:3, and nearer to it than to any other
    ],
)
def test_a_size_has_the_ratio_that_people_call_it_by(size: tuple[int, int], ratios: tuple[str, ...]) -> None:
    assert of_size(*size) == ratios


def test_a_grid_has_every_ratio_up_to_its_widest_both_ways() -> None:
    grid = SizeGrid(multiple=8, least_pixels=65_536, most_pixels=1_048_576, longest_side=1536, widest_ratio=1.5)

    assert aspect_ratios((), grid) == ("1:1", "5:4", "4:3", "3:2", "4:5", "3:4", "2:3")


def test_each_model_tells_its_ratios_and_one_that_keeps_the_shape_of_its_input_tells_none() -> None:
    for entry in CATALOG.models:
        assert bool(entry.aspect_ratios) == entry.is_sized, entry.model
        for name in entry.aspect_ratios:
            width, height = map(int, name.split(":"))
            assert (width, height) in USUAL
            shape: Shape = "square" if width == height else "wide" if width > height else "tall"
            assert entry.recipe(shape, None).shape == shape
