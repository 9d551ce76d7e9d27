"""One step of a story: make a picture with the first candidate that can."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, RetryState
from temporalio.workflow import ActivityCancellationType

from activities.pictures import PictureActivities
from contracts.names import provider_queue
from contracts.pictures import AssetRef, Candidate, GenerationInput, Opened, PictureMade, PictureOrder, StepPlan
from contracts.statuses import Step
from errors import OutcomeUnknown, PurchaseNeverMade, PurchaseReplaced, error_class
from workflows.failure import failure_of
from workflows.saga import Saga

# Attempts never buy again, so they may outlast half an hour of outage: 60 times at most 30 s.
ATTEMPTS = 60
# How often a picture that was lost by its maker may be bought once more from the same model.
REBUYS = 2
# These follow a decision or a proof that came after the story was told, and so do not count among them.
DECIDED = (PurchaseReplaced, PurchaseNeverMade)


def ended(error: ActivityError) -> bool:
    """Whether the ledger has closed the purchase. One that ran out of attempts may still be under way: it is taken back."""
    return error.retry_state is RetryState.NON_RETRYABLE_FAILURE


class PictureStep:
    """Makes the pictures of one generation, and shows an operator where it stands."""

    def __init__(self, given: GenerationInput, saga: Saga) -> None:
        self._given = given
        self._saga = saga
        self.current: Step | None = None
        self._made: list[PictureMade] = []
        self._purchases: dict[Step, int] = {}
        self._parts = 1
        # An attempt that died is noticed after this long; a third of it is the time between heartbeats.
        self._heartbeat = timedelta(seconds=20)

    def count(self, plan: Opened) -> None:
        """Take note of how many pictures there will be, and of how long an attempt may be silent."""
        self._parts = max(1, len(plan.steps))
        self._heartbeat = timedelta(seconds=plan.heartbeat_s)

    async def make(self, plan: StepPlan, reference: AssetRef | None = None) -> PictureMade:
        """The step's picture, from the first candidate that can make it. Raises the last candidate's ActivityError."""
        self.current = plan.step
        self._saga.remember(plan.step)
        for position, candidate in enumerate(plan.candidates, start=1):
            try:
                made = await self._from(candidate, plan, reference, alternatives=len(plan.candidates) - position)
            except ActivityError as error:
                failure = error_class(failure_of(error).code)
                if not (ended(error) and failure.failover) or position == len(plan.candidates):
                    raise
                self._show(plan.step, f"{candidate.provider} failed ({failure.code}), going on with the next")
            else:
                self._made.append(made)
                self._show(plan.step, "stored")
                return made
        raise AssertionError  # a plan has at least one candidate

    async def _from(
        self, candidate: Candidate, plan: StepPlan, reference: AssetRef | None, *, alternatives: int
    ) -> PictureMade:
        possible_duplicate, rebuys = False, 0
        while True:
            self._show(plan.step, f"at {candidate.provider} {candidate.model}")
            try:
                return await self._buy(
                    candidate, plan, reference, possible_duplicate=possible_duplicate, alternatives=alternatives
                )
            except ActivityError as error:
                failure = error_class(failure_of(error).code)
                if not ended(error):
                    raise
                unknown = failure is OutcomeUnknown
                may_resubmit = unknown and candidate.unknown_policy == "resubmit" and not possible_duplicate
                if failure not in DECIDED:
                    if not (failure.rebuy or may_resubmit) or rebuys == REBUYS:
                        raise
                    rebuys += 1
                possible_duplicate = possible_duplicate or unknown or failure is PurchaseReplaced

    async def _buy(
        self,
        candidate: Candidate,
        plan: StepPlan,
        reference: AssetRef | None,
        *,
        possible_duplicate: bool,
        alternatives: int,
    ) -> PictureMade:
        purchase = self._purchases.get(plan.step, 0)
        self._purchases[plan.step] = purchase + 1
        order = PictureOrder(
            generation_id=self._given.generation_id,
            tenant_id=self._given.tenant_id,
            step=plan.step,
            purchase=purchase,
            candidate=candidate,
            reference=reference,
            deadline_s=plan.deadline_s,
            possible_duplicate=possible_duplicate,
            alternatives=alternatives,
            part=len(self._made),
            parts=self._parts,
        )
        return await workflow.execute_activity_method(
            PictureActivities.make_picture,
            order,
            task_queue=provider_queue(candidate.provider),
            # The deadline stops the provider; the rest is room for downloads, stores and outages of ours.
            start_to_close_timeout=timedelta(seconds=plan.deadline_s + 900),
            heartbeat_timeout=self._heartbeat,
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30), maximum_attempts=ATTEMPTS),
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{plan.step}: {candidate.provider} {candidate.model}",
        )

    def _show(self, step: Step, what: str) -> None:
        done = [f"- **{made.step}**: {made.provider} {made.model}, {made.cost_usd} USD" for made in self._made]
        workflow.set_current_details("\n".join([*done, f"- **{step}**: {what}"]))
