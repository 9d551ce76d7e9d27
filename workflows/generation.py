"""The frame round every story: open, tell, close; and when it fails, take back, then close."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Literal, NoReturn

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, CancelledError

from activities.generations import GenerationActivities
from contracts.names import SEARCH_STATUS
from contracts.pictures import Closing, Failure, GenerationInput, Opened, PictureMade, UndoReport
from contracts.statuses import Kind, Step
from errors import GenerationCanceled, OutcomeUnknown
from workflows.failure import is_cancellation
from workflows.picture_step import PictureStep
from workflows.saga import Saga, unstoppable
from workflows.transactions import TRANSACTION, UNTIL_IT_WORKS

Story = Callable[[Opened, PictureStep], Awaitable[tuple[PictureMade, ...]]]

STATUS = SearchAttributeKey.for_keyword(SEARCH_STATUS)


async def tell(given: GenerationInput, story: Story) -> None:
    """Run a story to an end that accounts for everything. Fails or ends as canceled when the generation does."""
    saga = Saga(given)
    if given.kind is Kind.scene:  # its picture may have come from the client, stored when the request was accepted
        saga.remember(Step.input)
    pictures = PictureStep(given, saga)
    try:
        plan = await _open(given, saga)
        if plan.ended:
            return
        pictures.count(plan)
        saga.heartbeat = timedelta(seconds=plan.heartbeat_s)
        made = await story(plan, pictures)
    except BaseException as error:  # noqa: BLE001 - a cancellation is no Exception, and must be compensated too
        await _end_badly(given, saga, error, pictures)
    else:
        closing = Closing(generation_id=given.generation_id, run=given.run, outcome="succeeded", pictures=made)
        await unstoppable(lambda: _close(closing))


async def _open(given: GenerationInput, saga: Saga) -> Opened:
    plan = await workflow.execute_local_activity_method(
        GenerationActivities.open,
        given,
        start_to_close_timeout=TRANSACTION,
        retry_policy=UNTIL_IT_WORKS,
        summary="open",
    )
    for step in plan.begun:  # by an earlier run: to be taken back although this one may not come so far
        saga.remember(step)
    if plan.canceled:
        raise CancelledError
    return plan


async def _end_badly(given: GenerationInput, saga: Saga, error: BaseException, pictures: PictureStep) -> NoReturn:
    if is_cancellation(error):
        await take_back_and_close(
            given,
            saga,
            "canceled",
            Failure(code=GenerationCanceled.code, detail="Canceled", step=pictures.step_of(error)),
        )
        raise CancelledError("canceled by the client") from error
    failure = pictures.told(error)
    if failure.code == OutcomeUnknown.code:  # people decide: nothing is deleted, the hold stays
        await _closed(given, "needs_review", failure, ())
    else:
        await take_back_and_close(given, saga, "failed", failure)
    raise ApplicationError(failure.detail, type=failure.code, non_retryable=True) from error


async def take_back_and_close(
    given: GenerationInput, saga: Saga, outcome: Literal["failed", "canceled"], failure: Failure
) -> None:
    """Take back all that the saga remembers, then write down the end; neither can be stopped."""
    workflow.set_current_details(f"{outcome}: taking back")
    reports = await saga.roll_back()
    await _closed(given, outcome, failure, reports)


async def _closed(
    given: GenerationInput,
    outcome: Literal["failed", "canceled", "needs_review"],
    failure: Failure,
    reports: tuple[UndoReport, ...],
) -> None:
    closing = Closing(
        generation_id=given.generation_id, run=given.run, outcome=outcome, failure=failure, rollback=reports
    )
    await unstoppable(lambda: _close(closing))
    workflow.set_current_details(f"**{outcome}** {failure.code}: {failure.detail}")
    # Only what did not succeed is worth an event and an index entry: success is Temporal's own "Completed".
    workflow.upsert_search_attributes([STATUS.value_set(outcome)])


async def _close(closing: Closing) -> None:
    await workflow.execute_local_activity_method(
        GenerationActivities.close,
        closing,
        start_to_close_timeout=TRANSACTION,
        retry_policy=UNTIL_IT_WORKS,
        summary=f"close: {closing.outcome}",
    )
