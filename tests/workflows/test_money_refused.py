"""What a story does when a purchase has no room in what was promised, or in a provider's budget."""

from collections.abc import Sequence

import pytest
from temporalio.exceptions import ApplicationError

from contracts.names import WORKFLOW_AVATAR
from contracts.pictures import Closing, PictureMade, PictureOrder
from contracts.statuses import Kind, Step
from errors import (
    DioramaError,
    ModelFailed,
    OutcomeUnknown,
    OutputCorrupt,
    PromiseExhausted,
    ProviderBudgetExhausted,
)
from tests.workflows.stage import Stage, candidate, failing, picture, plan

MONEY = {"max_usd": "0.10", "left_usd": "0.02", "wanted_usd": "0.05"}
NO_ROOM = ApplicationError(
    PromiseExhausted.title, {"billed": "no", **MONEY}, type=PromiseExhausted.code, non_retryable=True
)


def answering(*answers: ApplicationError | type[DioramaError] | None):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """A maker that fails so, one purchase after the other; None: it makes the picture."""
    left = list(answers)

    async def make(order: PictureOrder) -> PictureMade:
        answer = left.pop(0)
        if isinstance(answer, type):
            answer = failing(answer)
        if answer is not None:
            raise answer
        return picture(order)

    return make


async def ended(
    stage: Stage, *answers: ApplicationError | type[DioramaError] | None, providers: Sequence[str]
) -> Closing:
    stage.opened = plan(*(candidate(provider) for provider in providers), steps=(Step.avatar,))
    stage.make = answering(*answers)
    await stage.run(WORKFLOW_AVATAR, Kind.avatar)
    (closing,) = stage.closings
    return closing


@pytest.mark.parametrize("refusal", [NO_ROOM, ProviderBudgetExhausted])
async def test_a_purchase_without_room_goes_on_to_the_next_candidate(
    stage: Stage, refusal: ApplicationError | type[DioramaError]
) -> None:
    closing = await ended(stage, refusal, None, providers=("replicate", "openai"))

    assert closing.outcome == "succeeded"
    assert [order.candidate.provider for order in stage.orders] == ["replicate", "openai"]


async def test_people_see_why_a_second_purchase_was_needed_and_that_there_was_no_room_for_it(stage: Stage) -> None:
    closing = await ended(stage, OutputCorrupt, NO_ROOM, providers=("replicate",))

    assert closing.outcome == "failed"
    assert closing.failure is not None
    assert (closing.failure.code, closing.failure.step) == (OutputCorrupt.code, Step.avatar)
    assert closing.failure.facts == {"billed": "yes", **MONEY}
    assert len(stage.orders) == 2


async def test_the_last_failure_before_is_the_one_that_people_see(stage: Stage) -> None:
    closing = await ended(stage, OutputCorrupt, ModelFailed, NO_ROOM, providers=("replicate", "openai"))

    assert closing.failure is not None
    assert closing.failure.code == ModelFailed.code


async def test_a_first_purchase_without_room_is_told_as_it_is(stage: Stage) -> None:
    closing = await ended(stage, NO_ROOM, providers=("replicate",))

    assert closing.failure is not None
    assert (closing.failure.code, closing.failure.facts) == (PromiseExhausted.code, {"billed": "no", **MONEY})


async def test_an_unknown_outcome_without_room_for_another_purchase_ends_and_waits_for_nobody(stage: Stage) -> None:
    closing = await ended(stage, OutcomeUnknown, NO_ROOM, providers=("replicate",))

    assert closing.outcome == "failed"
    assert closing.failure is not None
    assert closing.failure.code == PromiseExhausted.code
    assert closing.failure.facts == {"billed": "no", **MONEY, "unknown_purchase": True}
    assert stage.undone == [Step.avatar]
