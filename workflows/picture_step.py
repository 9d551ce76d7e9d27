"""One step of a story: make a picture with the first candidate that can; or several at the same time, of one fate."""

from asyncio import CancelledError
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, RetryState
from temporalio.workflow import ActivityCancellationType

from activities.pictures import PictureActivities
from activities.replanning import ReplanActivities
from contracts.names import provider_queue
from contracts.pictures import (
    AssetRef,
    Candidate,
    Failure,
    GenerationInput,
    Opened,
    PictureMade,
    PictureOrder,
    StepPlan,
)
from contracts.replanning import ReplanOrder
from contracts.statuses import Step
from errors import (
    OutcomeUnknown,
    OutputCorrupt,
    OutputExpired,
    PromiseExhausted,
    ProviderBudgetExhausted,
    PurchaseNeverMade,
    PurchaseReplaced,
    error_class,
)
from workflows.failure import failure_of
from workflows.one_fate import one_fate
from workflows.saga import Saga
from workflows.transactions import TRANSACTION, UNTIL_IT_WORKS

# Attempts never buy again, so they may outlast half an hour of outage: 60 times at most 30 s.
ATTEMPTS = 60
# How often a picture that was lost by its maker may be bought once more from the same model; and how often one that is paid.
REBUYS = 2
PAID_REBUYS = 1
# So often one picture is paid at most, whoever makes it. What may be charged for counts as paid.
PAYMENTS = 3
# Histories from before the order was decided anew at each failure replay without it.
REPLAN = "replan"
# In those from before payments were counted, one model alone was paid three times for pictures that were lost.
COUNT_PAYMENTS = "count-payments"
# These follow a decision or a proof that came after the story was told, and so do not count among them.
DECIDED = (PurchaseReplaced, PurchaseNeverMade)
# Nothing was bought, because there was no money for it: why it was to be bought again says more.
NO_MONEY = (PromiseExhausted, ProviderBudgetExhausted)
# Their pictures were made, and are not to be had any more.
PAID_AND_LOST = (OutputExpired, OutputCorrupt)


def ended(error: ActivityError) -> bool:
    """Whether the ledger has closed the purchase. One that ran out of attempts may still be under way: it is taken back."""
    return error.retry_state is RetryState.NON_RETRYABLE_FAILURE


def is_unknown(error: BaseException) -> bool:
    """Whether a purchase may have been made: people decide about it, and nothing else is to be given up for it."""
    return failure_of(error).code == OutcomeUnknown.code


class PictureStep:
    """Makes the pictures of one generation, and shows an operator where it stands."""

    def __init__(self, given: GenerationInput, saga: Saga) -> None:
        self._given = given
        self._saga = saga
        self._current: Step | None = None
        self._failed: list[tuple[Step, BaseException]] = []
        self._made: list[PictureMade] = []
        self._doing: dict[Step, str] = {}
        self._beside = False
        self._stopped = False
        self._purchases: dict[Step, int] = {}
        # For each purchase that is paid, perhaps, and gave no picture.
        self._paid: list[tuple[Step, Candidate]] = []
        # Steps of which a purchase may have been made that nobody can find: what is bought now may be a second one.
        self._unsure: set[Step] = set()
        # What the last purchase of a step failed of.
        self._causes: dict[Step, Failure] = {}
        self._parts = 1
        # An attempt that died is noticed after this long; a third of it is the time between heartbeats.
        self._heartbeat = timedelta(seconds=20)

    def count(self, plan: Opened) -> None:
        """Take note of how many pictures there will be, and of how long an attempt may be silent."""
        self._parts = max(1, len(plan.steps))
        self._heartbeat = timedelta(seconds=plan.heartbeat_s)

    def step_of(self, error: BaseException) -> Step | None:
        """The step that failed with this very error; else the one that the story is at, if there is one alone."""
        failed = next((step for step, failure in self._failed if failure is error), None)
        return failed or (None if self._beside else self._current)

    def told(self, error: BaseException) -> Failure:
        """Why it did not succeed, as people are told: with the facts of the money where that ended before the tries did.

        `unknown_purchase` among them: an earlier purchase may have been made, and nobody can find out.
        """
        step = self.step_of(error)
        failure = failure_of(error, step)
        if error_class(failure.code) not in NO_MONEY:
            return failure
        unsure = {"unknown_purchase": True} if step in self._unsure else {}
        cause = self._causes.get(step) if step else None
        if cause is None:
            return failure.model_copy(update={"facts": failure.facts | unsure})
        facts = {name: fact for name, fact in failure.facts.items() if name != "billed"}
        return cause.model_copy(update={"step": step, "facts": cause.facts | facts | unsure})

    async def make(
        self, plan: StepPlan, reference: AssetRef | None = None, *, references: tuple[AssetRef, ...] = ()
    ) -> PictureMade:
        """The step's picture, from the first candidate that can make it. Raises the last candidate's ActivityError."""
        self._current = plan.step
        self._saga.remember(plan.step)
        works_from = references or ((reference,) if reference else ())
        try:
            return await self._from_any(plan, works_from)
        except BaseException as error:  # a cancellation is no Exception
            self._failed.append((plan.step, error))
            raise

    async def make_side_by_side(
        self, plans: Sequence[StepPlan], references: tuple[AssetRef, ...]
    ) -> tuple[PictureMade, ...]:
        """All these pictures at the same time, in their order; when one fails, the others are stopped before that is raised.

        Only a purchase of unknown outcome lets the others end first: they are paid, and people decide about all of them.
        """
        self._beside = len(plans) > 1
        works = [self.make(plan, references=references) for plan in plans]
        return await one_fate(works, lets_others_end=is_unknown, stop=self._stop)

    def _stop(self) -> None:
        self._stopped = True

    async def _from_any(self, plan: StepPlan, works_from: tuple[AssetRef, ...]) -> PictureMade:
        tried: tuple[Candidate, ...] = ()
        rest = plan.candidates  # at least one
        while True:
            candidate, rest = rest[0], rest[1:]
            try:
                made = await self._from(candidate, plan, works_from, alternatives=len(rest))
            except ActivityError as error:
                failure = failure_of(error)
                if self._stopped or not (ended(error) and self._goes_on(plan.step, failure)) or not rest:
                    raise
                self._show(plan.step, f"{candidate.provider} failed ({failure.code}), going on with the next")
                tried = (*tried, candidate)
                rest = await self._replanned(plan.step, tried, rest, failure)
                if not rest:
                    raise
            else:
                self._made.append(made)
                self._show(plan.step, None)
                return made

    def _goes_on(self, step: Step, failure: Failure) -> bool:
        """Whether the next candidate may make it."""
        known = error_class(failure.code)
        if known in PAID_AND_LOST and not workflow.patched(COUNT_PAYMENTS):
            return False
        return known.failover and self._may_pay(step)

    async def _replanned(
        self, step: Step, tried: tuple[Candidate, ...], rest: tuple[Candidate, ...], failure: Failure
    ) -> tuple[Candidate, ...]:
        """Who is asked next: how the providers stand now may be another matter than when the plan was made."""
        if not workflow.patched(REPLAN):
            return rest
        order = ReplanOrder(
            generation_id=self._given.generation_id,
            step=step,
            tried=tried,
            rest=rest,
            failure=failure,
            purchases=self._purchases[step],
        )
        replanned = await workflow.execute_local_activity_method(
            ReplanActivities.replan,
            order,
            start_to_close_timeout=TRANSACTION,
            retry_policy=UNTIL_IT_WORKS,
            summary=f"{step}: after {failure.code}",
        )
        return replanned.candidates

    async def _from(
        self, candidate: Candidate, plan: StepPlan, works_from: tuple[AssetRef, ...], *, alternatives: int
    ) -> PictureMade:
        possible_duplicate, rebuys = False, 0
        while True:
            self._show(plan.step, f"at {candidate.provider} {candidate.model}")
            try:
                return await self._buy(
                    candidate, plan, works_from, possible_duplicate=possible_duplicate, alternatives=alternatives
                )
            except ActivityError as error:
                told = failure_of(error)
                failure = error_class(told.code)
                if not ended(error):
                    raise
                self._count_payment(plan.step, candidate, failure_of(error))
                unknown = failure is OutcomeUnknown
                if not unknown and failure not in (*DECIDED, *NO_MONEY):
                    self._causes[plan.step] = told
                may_resubmit = unknown and candidate.unknown_policy == "resubmit" and not possible_duplicate
                if failure not in DECIDED:
                    may_again = rebuys < REBUYS and self._may_pay(plan.step, candidate)
                    if not (failure.rebuy or may_resubmit) or not may_again:
                        raise
                    rebuys += 1
                possible_duplicate = possible_duplicate or unknown or failure is PurchaseReplaced
                if possible_duplicate:
                    self._unsure.add(plan.step)

    def _count_payment(self, step: Step, candidate: Candidate, failure: Failure) -> None:
        is_free = failure.facts.get("billed") == "no" or error_class(failure.code) in DECIDED
        if not is_free and workflow.patched(COUNT_PAYMENTS):
            self._paid.append((step, candidate))

    def _may_pay(self, step: Step, candidate: Candidate | None = None) -> bool:
        """Whether the picture may be paid once more; from this very model, if one is given."""
        if candidate is not None and self._paid.count((step, candidate)) > PAID_REBUYS:
            return False
        return sum(of_step is step for of_step, _ in self._paid) < PAYMENTS

    async def _buy(
        self,
        candidate: Candidate,
        plan: StepPlan,
        works_from: tuple[AssetRef, ...],
        *,
        possible_duplicate: bool,
        alternatives: int,
    ) -> PictureMade:
        if self._stopped:  # another picture failed while this one's last purchase ended
            raise CancelledError
        purchase = self._purchases.get(plan.step, 0)
        self._purchases[plan.step] = purchase + 1
        order = PictureOrder(
            generation_id=self._given.generation_id,
            tenant_id=self._given.tenant_id,
            step=plan.step,
            purchase=purchase,
            candidate=candidate,
            reference=works_from[0] if len(works_from) == 1 else None,
            references=works_from if len(works_from) > 1 else (),
            deadline_s=plan.deadline_s,
            possible_duplicate=possible_duplicate or plan.step in self._unsure,
            alternatives=alternatives,
            part=len(self._made),
            parts=self._parts,
            beside=self._beside,
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

    def _show(self, step: Step, what: str | None) -> None:
        """None: it is done."""
        self._doing.pop(step, None)
        if what is not None:
            self._doing[step] = what
        done = [f"- **{made.step}**: {made.provider} {made.model}, {made.cost_usd} USD" for made in self._made]
        doing = [f"- **{step}**: {what}" for step, what in self._doing.items()]
        workflow.set_current_details("\n".join([*done, *doing]))
