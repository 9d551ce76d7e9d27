"""The stored pictures that a request starts from, and the field that each is named in."""

from dataclasses import dataclass
from uuid import UUID

from contracts.requests import AnyRequest, EnhanceRequest, ImageRequest, SceneRequest


@dataclass(frozen=True, slots=True)
class GivenPicture:
    """`field` is the place in the request, for people: `image_asset_ids[1]`."""

    field: str
    asset_id: UUID


def given_pictures(request: AnyRequest) -> tuple[GivenPicture, ...]:
    """In the request's order; a picture that it names twice is there twice."""
    if isinstance(request, ImageRequest):
        return tuple(
            GivenPicture(f"image_asset_ids[{place}]", asset_id)
            for place, asset_id in enumerate(request.image_asset_ids)
        )
    if isinstance(request, EnhanceRequest):
        return (GivenPicture("image_asset_id", request.image_asset_id),)
    if isinstance(request, SceneRequest) and request.avatar_asset_id is not None:
        return (GivenPicture("avatar_asset_id", request.avatar_asset_id),)
    return ()
