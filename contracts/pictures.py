"""What workflows and activities say to each other about pictures: references and facts, never bytes or prompts."""

from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.frozen import Frozen
from contracts.statuses import Kind, Step
from contracts.wishes import Adjustment


class Candidate(Frozen):
    """A model that can make the picture; what one purchase may cost at most, and what the catalog expects (USD).

    `price_version`: the day on which the prices were compared with what the vendor publishes. `adjustments`: how its picture
    differs from what was asked for: wishes that it cannot meet as they are, which only fallbacks have, and what is mended
    after the picture was made (its size, its format).
    """

    provider: str
    model: str
    max_usd: Decimal
    likely_usd: Decimal | None = None
    price_version: str | None = None
    unknown_policy: Literal["review", "resubmit"]
    adjustments: tuple[Adjustment, ...] = ()


class StepPlan(Frozen):
    """One picture to make, with its candidates in order of preference."""

    step: Step
    candidates: tuple[Candidate, ...]
    deadline_s: int


class AssetRef(Frozen):
    """A stored picture: enough to fetch it and to prove that it is the same."""

    asset_id: UUID
    key: str
    sha256: str
    size_bytes: int
    content_type: str
    width: int
    height: int


class PictureOrder(Frozen):
    """Make this step's picture with this model; `purchase` counts the purchases of the step from 0.

    It works from `reference`, and where there is more than one picture to work from, from `references` instead.

    It is picture number `part` (from 0) of `parts` that the generation is to have. `alternatives`: so many candidates come
    after this one, so that a provider that cannot be reached need not be waited for. `beside`: the others are made at the
    same time, so that how far the generation is must be counted.
    """

    generation_id: UUID
    tenant_id: UUID
    step: Step
    purchase: int
    candidate: Candidate
    reference: AssetRef | None
    references: tuple[AssetRef, ...] = ()
    deadline_s: int
    possible_duplicate: bool = False
    alternatives: int = 0
    part: int = 0
    parts: int = 1
    beside: bool = False

    @property
    def works_from(self) -> tuple[AssetRef, ...]:
        """The pictures that it works from, in order."""
        return self.references or ((self.reference,) if self.reference else ())

    def overall(self, done: float) -> float | None:
        """How far the generation is (0..1) when this picture is `done` (0..1); None: that cannot be told by this picture."""
        return None if self.beside else round((self.part + done) / self.parts, 3)


class PictureMade(Frozen):
    """The kept picture and what it cost (USD)."""

    step: Step
    asset: AssetRef
    provider: str
    model: str
    cost_usd: Decimal
    adjustments: tuple[Adjustment, ...] = ()


class UndoOrder(Frozen):
    """Take back everything this step did: the provider's job, the object, the money; as long as this is the newest run."""

    generation_id: UUID
    tenant_id: UUID
    step: Step
    run: int = 1


class UndoReport(Frozen):
    """What was taken back, and what could not be."""

    step: Step
    deleted_assets: tuple[UUID, ...] = ()
    canceled_jobs: int = 0
    remaining: tuple[str, ...] = ()


class GenerationInput(Frozen):
    """What a generation's workflow is started with; `run` counts its runs from 1."""

    generation_id: UUID
    tenant_id: UUID
    kind: Kind
    run: int = 1


class Opened(Frozen):
    """The plan for a generation; `reference` is the picture a scene starts from, `references` those of an image, `begun` what earlier runs began.

    `canceled`: stop before the first buy; `ended`: it has ended already, and nothing may be done any more. An attempt that
    does not heartbeat for `heartbeat_s` seconds counts as dead.
    """

    steps: tuple[StepPlan, ...]
    reference: AssetRef | None = None
    references: tuple[AssetRef, ...] = ()
    begun: tuple[Step, ...] = ()
    canceled: bool = False
    ended: bool = False
    heartbeat_s: int = 20

    def step(self, step: Step) -> StepPlan:
        """The plan of one step; KeyError when the plan has none."""
        for plan in self.steps:
            if plan.step is step:
                return plan
        raise KeyError(step)


class Begun(Frozen):
    """The steps that a generation has begun, in that order.

    `ended`: it has ended already, and nothing is to be done; `canceled`: its client asked to stop.
    """

    steps: tuple[Step, ...]
    canceled: bool = False
    ended: bool = False


class Failure(Frozen):
    """Why a generation did not succeed: a code of the error tree, and facts that a client may see."""

    code: str
    detail: str
    step: Step | None = None
    facts: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


class Closing(Frozen):
    """How a run of a generation ended."""

    generation_id: UUID
    run: int = 1
    outcome: Literal["succeeded", "failed", "canceled", "needs_review"]
    pictures: tuple[PictureMade, ...] = ()
    failure: Failure | None = None
    rollback: tuple[UndoReport, ...] = ()


class SessionDeletion(Frozen):
    """Delete all that belongs to a session of a tenant."""

    tenant_id: UUID
    session_id: str
