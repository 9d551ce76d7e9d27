"""The words for where things stand: one vocabulary for tables, API, events, logs and metrics."""

from enum import StrEnum


class Kind(StrEnum):
    """What is asked for."""

    avatar = "avatar"
    scene = "scene"
    avatar_scene = "avatar_scene"


class Status(StrEnum):
    """Where a generation stands; the last four are final for the client."""

    queued = "queued"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    canceled = "canceled"
    needs_review = "needs_review"

    @property
    def is_final(self) -> bool:
        """True when nothing more will happen without an operator."""
        return self not in {Status.queued, Status.running}


class Step(StrEnum):
    """One picture inside a generation; `input` is a picture that the client brought."""

    avatar = "avatar"
    scene = "scene"
    input = "input"


class AssetState(StrEnum):
    """pending -> stored -> deleting -> deleted; a row is pending before its object is written."""

    pending = "pending"
    stored = "stored"
    deleting = "deleting"
    deleted = "deleted"


class AssetRole(StrEnum):
    """What the object is for: a finished picture, a client's picture, or a provider's answer that is not finished yet."""

    picture = "picture"
    input = "input"
    raw = "raw"


class SpendState(StrEnum):
    """held -> sent -> submitted -> settled; or released (nothing owed), or unknown (may have been bought)."""

    held = "held"
    sent = "sent"
    submitted = "submitted"
    settled = "settled"
    released = "released"
    unknown = "unknown"


class DeliveryState(StrEnum):
    """pending -> delivered or failed (given up, or the endpoint is gone); a replay makes it pending again."""

    pending = "pending"
    delivered = "delivered"
    failed = "failed"


class Billed(StrEnum):
    """Whether the provider charges for a purchase."""

    yes = "yes"
    no = "no"
    unknown = "unknown"
