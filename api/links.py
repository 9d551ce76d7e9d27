"""Where to go next: paths on this API, so that they hold behind any host name."""

from typing import Self
from uuid import UUID

from pydantic import Field

from contracts.frozen import Frozen


class GenerationLinks(Frozen):
    """What can be asked about a generation."""

    self_: str = Field(alias="self", examples=["/v1/generations/0199c0de-0000-7000-8000-000000000001"])
    events: str
    ws: str
    cancel: str

    @classmethod
    def of(cls, generation_id: UUID) -> Self:
        """The links of one generation."""
        path = f"/v1/generations/{generation_id}"
        return cls.model_validate(
            {"self": path, "events": f"{path}/events", "ws": f"{path}/ws", "cancel": f"{path}/cancel"}
        )


class FailureLinks(Frozen):
    """What can be done about a generation that failed: send it again, or look for another model."""

    retry: str = Field(examples=["/v1/generations/0199c0de-0000-7000-8000-000000000001/retry"])
    models: str = Field(examples=["/v1/models"])

    @classmethod
    def of(cls, generation_id: UUID) -> Self:
        """The links of one generation."""
        return cls(retry=f"/v1/generations/{generation_id}/retry", models="/v1/models")


class AssetLinks(Frozen):
    """`content` streams the bytes through this API; `download` redirects to the store."""

    self_: str = Field(alias="self", examples=["/v1/assets/0199c0de-0000-7000-8000-000000000002"])
    content: str
    download: str

    @classmethod
    def of(cls, asset_id: UUID) -> Self:
        """The links of one picture."""
        path = f"/v1/assets/{asset_id}"
        return cls.model_validate({"self": path, "content": f"{path}/content", "download": f"{path}/download"})


class SessionLinks(Frozen):
    """What can be asked about a session."""

    self_: str = Field(alias="self", examples=["/v1/sessions/evening-walk"])
    generations: str

    @classmethod
    def of(cls, session_id: str) -> Self:
        """The links of one session; a session id needs no escaping in a URL."""
        return cls.model_validate(
            {"self": f"/v1/sessions/{session_id}", "generations": f"/v1/generations?session={session_id}"}
        )


class ErasureLinks(Frozen):
    """What can be asked about an erasure."""

    self_: str = Field(alias="self", examples=["/v1/erasures/0199c0de-0000-7000-8000-000000000005"])

    @classmethod
    def of(cls, erasure_id: UUID) -> Self:
        """The links of one erasure."""
        return cls.model_validate({"self": f"/v1/erasures/{erasure_id}"})


class WebhookEndpointLinks(Frozen):
    """What can be asked about a webhook endpoint."""

    self_: str = Field(alias="self", examples=["/v1/webhook-endpoints/0199c0de-0000-7000-8000-000000000003"])
    deliveries: str
    rotate_secret: str

    @classmethod
    def of(cls, endpoint_id: UUID) -> Self:
        """The links of one endpoint."""
        path = f"/v1/webhook-endpoints/{endpoint_id}"
        return cls.model_validate(
            {"self": path, "deliveries": f"{path}/deliveries", "rotate_secret": f"{path}/rotate-secret"}
        )


class DeliveryLinks(Frozen):
    """What can be asked about a delivery."""

    self_: str = Field(alias="self", examples=["/v1/webhook-deliveries/0199c0de-0000-7000-8000-000000000004"])
    replay: str
    endpoint: str
    generation: str | None

    @classmethod
    def of(cls, delivery_id: UUID, endpoint_id: UUID, generation_id: UUID | None) -> Self:
        """The links of one delivery."""
        path = f"/v1/webhook-deliveries/{delivery_id}"
        return cls.model_validate(
            {
                "self": path,
                "replay": f"{path}/replay",
                "endpoint": f"/v1/webhook-endpoints/{endpoint_id}",
                "generation": f"/v1/generations/{generation_id}" if generation_id else None,
            }
        )
