"""What several pictures of one request have in common, and what each has for itself."""

from contracts.requests import ImageRequest, planned_pictures
from contracts.statuses import Kind
from contracts.wishes import PictureTraits

LARGEST_SEED = 2**31 - 1


def seeds(first: int | None, count: int) -> list[int | None]:
    request = ImageRequest(kind=Kind.image, prompt="a lighthouse", count=count, traits=PictureTraits(seed=first))
    return [picture.traits.seed for picture in planned_pictures(request)]


def test_each_picture_has_the_seed_after_the_one_before_so_that_no_two_are_the_same() -> None:
    assert seeds(7, 3) == [7, 8, 9]


def test_seeds_stay_within_their_range() -> None:
    assert seeds(LARGEST_SEED, 2) == [LARGEST_SEED, 0]


def test_without_a_seed_none_is_made_up() -> None:
    assert seeds(None, 2) == [None, None]
