"""What can be started at the engine, each thing under an id that makes starting twice harmless."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, Self
from uuid import UUID

from temporalio.client import Client
from temporalio.common import (
    AutoUpgradeVersioningOverride,
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from contracts.erasures import ErasureOrder
from contracts.names import (
    MAIN_QUEUE,
    SEARCH_KIND,
    SEARCH_TENANT,
    WORKFLOW_AVATAR,
    WORKFLOW_AVATAR_SCENE,
    WORKFLOW_DELETE_SESSION,
    WORKFLOW_DELIVER,
    WORKFLOW_ENHANCE,
    WORKFLOW_ERASE,
    WORKFLOW_IMAGE,
    WORKFLOW_SCENE,
    WORKFLOW_TAKE_BACK,
    delivery_workflow_id,
    take_back_id,
    workflow_id,
)
from contracts.pictures import GenerationInput, SessionDeletion
from contracts.statuses import Kind
from contracts.webhooks import DeliveryInput
from db.models import Generation
from db.webhook_models import Delivery

WORKFLOWS = {
    Kind.avatar: WORKFLOW_AVATAR,
    Kind.scene: WORKFLOW_SCENE,
    Kind.avatar_scene: WORKFLOW_AVATAR_SCENE,
    Kind.image: WORKFLOW_IMAGE,
    Kind.enhance: WORKFLOW_ENHANCE,
}
KIND = SearchAttributeKey.for_keyword(SEARCH_KIND)
TENANT = SearchAttributeKey.for_keyword(SEARCH_TENANT)

RPC_TIMEOUT = timedelta(seconds=5)  # a start takes 4 ms; an engine that needs seconds is as good as away
# For what lasts hours or days: an old release of the worker must not have to stay so long (docs/changing-workflows.md).
FOLLOWS_RELEASES = AutoUpgradeVersioningOverride()


class Start(Protocol):
    """Something that the engine is to run once."""

    @property
    def key(self) -> str:
        """The workflow's id."""

    async def send(self, client: Client) -> None:
        """Start it; harmless when it runs or ran already. Raises RPCError."""


def summary(kind: Kind, request: Mapping[str, Any]) -> str:
    """One line for the engine's web page: `avatar, then scene aurora-night`. No prompts."""
    theme = (request.get("scene") or {}).get("theme", "")
    lines = {
        Kind.avatar: "avatar",
        Kind.scene: f"scene {theme}",
        Kind.avatar_scene: f"avatar, then scene {theme}",
        Kind.image: _of_images(request),
        Kind.enhance: str(request.get("operation", "upscale")),
    }
    return lines[kind]


def _of_images(request: Mapping[str, Any]) -> str:
    count, works_from = request.get("count", 1), len(request.get("image_asset_ids") or ())
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    return f"{pictures} from {works_from} of the client's" if works_from else pictures


@dataclass(frozen=True, slots=True)
class GenerationStart:
    """The workflow of an accepted generation. `weight`: its tenant's share where tenants wait for each other."""

    generation_id: UUID
    tenant_id: UUID
    kind: Kind
    summary: str
    run: int = 1
    weight: float = 1.0

    @classmethod
    def of(cls, generation: Generation, *, weight: float) -> Self:
        """The start of an accepted generation."""
        line = summary(generation.kind, generation.request)
        return cls(generation.id, generation.tenant_id, generation.kind, line, generation.run, weight)

    @property
    def key(self) -> str:
        """The workflow's id."""
        return workflow_id(self.generation_id, self.run)

    async def send(self, client: Client) -> None:
        """Start it; a run is started once for ever, also after it has ended."""
        given = GenerationInput(
            generation_id=self.generation_id, tenant_id=self.tenant_id, kind=self.kind, run=self.run
        )
        try:
            await client.start_workflow(
                WORKFLOWS[self.kind],
                given,
                id=self.key,
                task_queue=MAIN_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=TypedSearchAttributes(
                    [SearchAttributePair(KIND, self.kind), SearchAttributePair(TENANT, str(self.tenant_id))]
                ),
                static_summary=self.summary,
                # tenants share the queues by their tiers, however much one of them asks for
                priority=Priority(fairness_key=str(self.tenant_id), fairness_weight=self.weight),
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return


@dataclass(frozen=True, slots=True)
class SessionDeletionStart:
    """The workflow that removes the pictures of a deleted session."""

    deletion: SessionDeletion

    @property
    def key(self) -> str:
        """The workflow's id."""
        return f"session-delete/{self.deletion.tenant_id}/{self.deletion.session_id}"

    async def send(self, client: Client) -> None:
        """Start it, unless it is running; again, when a session of this name was deleted before."""
        await client.start_workflow(
            WORKFLOW_DELETE_SESSION,
            self.deletion,
            id=self.key,
            task_queue=MAIN_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"delete session {self.deletion.session_id}",
            versioning_override=FOLLOWS_RELEASES,
            rpc_timeout=RPC_TIMEOUT,
        )


@dataclass(frozen=True, slots=True)
class ErasureStart:
    """The workflow that forgets a session or a user, until nothing is left."""

    order: ErasureOrder

    @property
    def key(self) -> str:
        """The workflow's id: the engine does not learn whom it is about."""
        return f"erasure/{self.order.erasure_id}"

    async def send(self, client: Client) -> None:
        """Start it, unless it is running; again, when it was ended from outside before it had verified anything."""
        await client.start_workflow(
            WORKFLOW_ERASE,
            self.order,
            id=self.key,
            task_queue=MAIN_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes([SearchAttributePair(TENANT, str(self.order.tenant_id))]),
            static_summary="forget a session or a user",
            versioning_override=FOLLOWS_RELEASES,
            rpc_timeout=RPC_TIMEOUT,
        )


@dataclass(frozen=True, slots=True)
class TakeBackStart:
    """The workflow that takes back, and closes, a generation whose own workflow has ended without doing it."""

    generation_id: UUID
    tenant_id: UUID
    kind: Kind
    run: int

    @property
    def key(self) -> str:
        """The workflow's id."""
        return take_back_id(self.generation_id, self.run)

    async def send(self, client: Client) -> None:
        """Start it, unless it is running; again, when it was ended from outside, too."""
        given = GenerationInput(
            generation_id=self.generation_id, tenant_id=self.tenant_id, kind=self.kind, run=self.run
        )
        await client.start_workflow(
            WORKFLOW_TAKE_BACK,
            given,
            id=self.key,
            task_queue=MAIN_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(KIND, self.kind), SearchAttributePair(TENANT, str(self.tenant_id))]
            ),
            static_summary="take back what an ended run left behind",
            rpc_timeout=RPC_TIMEOUT,
        )


@dataclass(frozen=True, slots=True)
class DeliveryStart:
    """The workflow that delivers an event to a webhook endpoint."""

    tenant_id: UUID
    event_type: str
    given: DeliveryInput

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """The start of a delivery's present run."""
        given = DeliveryInput(
            delivery_id=delivery.id,
            generation_id=delivery.generation_id,
            run=delivery.run,
            attempts=delivery.attempts,
        )
        return cls(delivery.tenant_id, delivery.event_type, given)

    @property
    def key(self) -> str:
        """The workflow's id."""
        return delivery_workflow_id(self.given.delivery_id, self.given.run)

    async def send(self, client: Client) -> None:
        """Start it; a run is started once for ever, also after it has ended."""
        try:
            await client.start_workflow(
                WORKFLOW_DELIVER,
                self.given,
                id=self.key,
                task_queue=MAIN_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=TypedSearchAttributes([SearchAttributePair(TENANT, str(self.tenant_id))]),
                static_summary=f"webhook {self.event_type}",
                versioning_override=FOLLOWS_RELEASES,
                priority=Priority(fairness_key=str(self.tenant_id)),
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return
