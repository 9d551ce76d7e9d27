"""Is every object in the store somebody's, and every picture in the store?"""

from collections.abc import Iterator

from contracts.statuses import AssetRole, AssetState, Status
from db.models import Asset, Generation
from tests.crash.breach import Breach
from tests.crash.evidence import Evidence

UNFINISHED = frozenset({AssetState.pending, AssetState.deleting})


def audit_objects(evidence: Evidence) -> Iterator[Breach]:
    """All that is wrong with objects and their rows, both ways."""
    stored = {asset.key: asset for asset in evidence.assets if asset.state is AssetState.stored}
    for orphan in sorted(evidence.objects.keys() - stored.keys()):
        owner = next((asset for asset in evidence.assets if asset.key == orphan), None)
        if owner is not None and _waits_for_people(evidence, owner):
            continue
        state = f"its row is {owner.state}" if owner else "it has no row"
        yield Breach(f"object {orphan} is left behind: {state}", owner.generation_id if owner else None)
    for asset in evidence.assets:
        yield from _asset(evidence, asset)
    for generation in evidence.generations.values():
        yield from _pictures(evidence, generation)


def _waits_for_people(evidence: Evidence, asset: Asset) -> bool:
    """What its purchase may have left unfinished stays until somebody has decided."""
    generation = evidence.generations.get(asset.generation_id) if asset.generation_id else None
    return asset.state in UNFINISHED and generation is not None and generation.status is Status.needs_review


def _asset(evidence: Evidence, asset: Asset) -> Iterator[Breach]:
    name = f"{asset.role} of {asset.step} ({asset.key})"
    generation = evidence.generations.get(asset.generation_id) if asset.generation_id else None
    if asset.state in UNFINISHED and not _waits_for_people(evidence, asset):
        yield Breach(f"{name} is still {asset.state}", asset.generation_id)
    if asset.state is not AssetState.stored:
        return
    if asset.key not in evidence.objects:
        yield Breach(f"{name} is not in the store", asset.generation_id)
    elif evidence.objects[asset.key] != asset.sha256:
        yield Breach(f"{name} has other bytes than its row says", asset.generation_id)
    if generation is None and asset.role is AssetRole.input:
        return  # an upload: it waits for its first generation, and stays for further ones
    if generation is None:
        yield Breach(f"{name} is stored for nobody", asset.generation_id)
    elif generation.deleted_at is not None and generation.status.is_final:
        yield Breach(f"{name} is stored, and its session was deleted", generation.id)
    elif generation.status in {Status.failed, Status.canceled}:
        yield Breach(f"{name} is stored, and its generation is {generation.status}", generation.id)
    elif generation.status is Status.succeeded and asset.role is AssetRole.raw:
        yield Breach(f"{name} is stored, and nobody needs it any more", generation.id)


def _pictures(evidence: Evidence, generation: Generation) -> Iterator[Breach]:
    if generation.status is not Status.succeeded or generation.deleted_at is not None:
        return
    ids = {str(asset.id): asset for asset in evidence.assets}
    for picture in (generation.result or {}).get("pictures", []):
        asset = ids.get(picture["asset"]["asset_id"])
        if asset is None or asset.state is not AssetState.stored:
            state = asset.state if asset else "nowhere"
            yield Breach(f"its {picture['step']} was promised, and is {state}", generation.id)


def orphans(evidence: Evidence) -> int:
    """Objects without a stored row, and stored rows without an object."""
    stored = {asset.key for asset in evidence.assets if asset.state is AssetState.stored}
    waiting = {asset.key for asset in evidence.assets if _waits_for_people(evidence, asset)}
    return len((evidence.objects.keys() ^ stored) - waiting)
