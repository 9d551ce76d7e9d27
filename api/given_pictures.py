"""The pictures that a request starts from must be there, be its tenant's, and stay for as long as it lives."""

from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.given_pictures import given_pictures
from contracts.requests import AnyRequest, EnhanceRequest
from contracts.statuses import AssetRole
from db import assets_read, input_assets
from db.models import Asset
from errors import ImageTooLarge, NotFound

# 4096x4096: as PNG at most 50 MB, which is what a worker takes from a provider (activities/keeping.py).
MOST_UPSCALED_PIXELS = 4096 * 4096


async def check_given_pictures(
    session: AsyncSession, tenant_id: UUID, request: AnyRequest, *, only_look: bool = False
) -> None:
    """Hold them until the transaction ends; from then on the generation itself keeps them (db/retention.py).

    `only_look`: no generation is about to use them.

    Raises NotFound naming the field, ImageTooLarge when the request would make one larger than can be kept.
    """
    given = given_pictures(request)
    if given and not only_look:  # before they are held: a lock that is shared by two cannot become either's own
        await input_assets.mark_used(session, tenant_id, {picture.asset_id for picture in given})
    found: dict[UUID, Asset] = {}
    # In one order with all others who hold several: or two could wait for each other.
    for picture in sorted(given, key=lambda one: one.asset_id):
        readable = await assets_read.of_tenant(session, tenant_id, picture.asset_id, hold=not only_look)
        if readable is None or not readable[1]:
            raise NotFound(f"There is no picture with the id in {picture.field}.")
        if readable[0].role is AssetRole.partial:
            raise NotFound(f"The picture in {picture.field} is unfinished, and goes when the finished one comes.")
        found[picture.asset_id] = readable[0]
    if isinstance(request, EnhanceRequest) and request.operation == "upscale":
        _check_size(found[request.image_asset_id], request.scale)


def _check_size(picture: Asset, scale: int) -> None:
    if picture.width * picture.height * scale**2 > MOST_UPSCALED_PIXELS:
        raise ImageTooLarge(
            f"{scale} times as large it would have more than {MOST_UPSCALED_PIXELS} pixels.",
            width=picture.width,
            height=picture.height,
            max_pixels=MOST_UPSCALED_PIXELS // scale**2,
        )
