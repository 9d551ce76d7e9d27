"""A picture that is paid and lost: bought once more from the same model, then elsewhere, and never paid more than three times."""

from collections.abc import Sequence

import pytest
from temporalio.exceptions import ApplicationError

from contracts.names import WORKFLOW_AVATAR
from contracts.pictures import Candidate, PictureMade, PictureOrder
from contracts.statuses import Kind, Step
from errors import (
    DioramaError,
    JobCanceled,
    OutcomeUnknown,
    OutputCorrupt,
    OutputExpired,
    OutputWrongSize,
    ProviderInterrupted,
    ProviderUnavailable,
    ProviderUnreachable,
    PurchaseReplaced,
)
from tests.workflows.stage import Stage, candidate, failing, picture, plan

LOST = (OutputExpired, OutputCorrupt)


def models(count: int, policy: str = "review") -> list[Candidate]:
    """So many candidates: two providers, and ever new models."""
    return [
        candidate(("replicate", "openai")[number % 2], policy).model_copy(update={"model": f"m{number}"})
        for number in range(count)
    ]


async def asked(
    stage: Stage, candidates: Sequence[Candidate], *failures: type[DioramaError] | ApplicationError
) -> list[str]:
    """The models that are bought from, in order, when the purchases end so; those behind give pictures."""
    left = list(failures)

    async def make(order: PictureOrder) -> PictureMade:
        if left:
            failure = left.pop(0)
            raise failure if isinstance(failure, ApplicationError) else failing(failure)
        return picture(order)

    stage.opened = plan(*candidates, steps=(Step.avatar,))
    stage.make = make
    await stage.run(WORKFLOW_AVATAR, Kind.avatar)
    return [order.candidate.model for order in stage.orders]


@pytest.mark.parametrize("lost", LOST)
async def test_a_lost_picture_is_bought_once_more_from_the_same_model(stage: Stage, lost: type[DioramaError]) -> None:
    assert await asked(stage, models(2), lost) == ["m0", "m0"]
    assert stage.closings[0].outcome == "succeeded"


@pytest.mark.parametrize("lost", LOST)
async def test_a_picture_that_is_lost_again_is_made_elsewhere(stage: Stage, lost: type[DioramaError]) -> None:
    assert await asked(stage, models(2), lost, lost) == ["m0", "m0", "m1"]
    assert stage.closings[0].outcome == "succeeded"
    assert [order.failure.code for order in stage.replans] == [lost.code]


@pytest.mark.parametrize("lost", LOST)
async def test_a_picture_is_not_paid_more_than_three_times(stage: Stage, lost: type[DioramaError]) -> None:
    assert await asked(stage, models(4), *[lost] * 9) == ["m0", "m0", "m1"]
    assert stage.closings[0].outcome == "failed"
    assert stage.closings[0].failure is not None
    assert stage.closings[0].failure.code == lost.code


@pytest.mark.parametrize("lost", LOST)
async def test_where_nobody_else_can_make_it_a_lost_picture_is_paid_twice(
    stage: Stage, lost: type[DioramaError]
) -> None:
    assert await asked(stage, models(1), *[lost] * 9) == ["m0", "m0"]
    assert stage.closings[0].outcome == "failed"


async def test_a_model_that_delivers_the_wrong_size_is_not_asked_again(stage: Stage) -> None:
    assert await asked(stage, models(4), *[OutputWrongSize] * 9) == ["m0", "m1", "m2"]


async def test_what_was_paid_in_whatever_way_counts(stage: Stage) -> None:
    not_downloaded = ApplicationError("", {"billed": "yes"}, type=ProviderUnavailable.code, non_retryable=True)
    failures = (not_downloaded, JobCanceled, OutputCorrupt)

    assert await asked(stage, models(4), *failures) == ["m0", "m1", "m2"]


async def test_what_costs_nothing_does_not_count(stage: Stage) -> None:
    free = (ProviderInterrupted, ProviderInterrupted, ProviderInterrupted, ProviderUnreachable)

    assert await asked(stage, models(4), *free, OutputCorrupt) == ["m0", "m0", "m0", "m1", "m2", "m2"]


async def test_a_third_payment_of_unknown_outcome_is_left_to_people(stage: Stage) -> None:
    failures = (OutputCorrupt, OutputCorrupt, OutcomeUnknown)

    assert await asked(stage, models(3, policy="resubmit"), *failures) == ["m0", "m0", "m1"]
    assert stage.closings[0].outcome == "needs_review"


async def test_a_decision_of_people_is_not_counted(stage: Stage) -> None:
    failures = (OutputCorrupt, PurchaseReplaced, PurchaseReplaced, PurchaseReplaced)

    assert await asked(stage, models(1), *failures) == ["m0"] * 5
    assert stage.closings[0].outcome == "succeeded"
