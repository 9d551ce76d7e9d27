"""The words for where things stand: one vocabulary for tables, API, events, logs and metrics."""

from enum import StrEnum


class Kind(StrEnum):
    """What is asked for."""

    avatar = "avatar"
    scene = "scene"
    avatar_scene = "avatar_scene"
    image = "image"
    enhance = "enhance"


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
    enhanced = "enhanced"
    variant_1 = "variant-1"
    variant_2 = "variant-2"
    variant_3 = "variant-3"
    variant_4 = "variant-4"
    variant_5 = "variant-5"
    variant_6 = "variant-6"
    variant_7 = "variant-7"
    variant_8 = "variant-8"
    variant_9 = "variant-9"
    variant_10 = "variant-10"

    @classmethod
    def variant(cls, number: int) -> "Step":
        """The picture with this number (1 to 10) among those that were asked for together. Raises ValueError."""
        return cls(f"variant-{number}")


class AssetState(StrEnum):
    """pending -> stored -> deleting -> deleted; a row is pending before its object is written."""

    pending = "pending"
    stored = "stored"
    deleting = "deleting"
    deleted = "deleted"


class AssetRole(StrEnum):
    """What the object is for: a finished picture, a client's picture, a provider's answer that is not finished yet, or an
    unfinished picture that is shown while the finished one is made.
    """

    picture = "picture"
    input = "input"
    raw = "raw"
    partial = "partial"


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
