"""A story that is told once more, over a ledger on which operators or the reconciler decided meanwhile."""

import pytest

from contracts.names import WORKFLOW_AVATAR, WORKFLOW_AVATAR_SCENE
from contracts.pictures import Closing, PictureMade, PictureOrder
from contracts.statuses import Kind, Step
from errors import (
    DioramaError,
    OutcomeUnknown,
    PolicyRefused,
    ProviderInterrupted,
    PurchaseLost,
    PurchaseNeverMade,
    PurchaseReplaced,
)
from tests.workflows.stage import Maker, Stage, candidate, failing, picture, plan

Ledger = dict[Step, tuple[type[DioramaError], ...]]


def found(ledger: Ledger) -> Maker:
    """The purchases of earlier runs by step, as they ended; what comes after them succeeds."""

    async def make(order: PictureOrder) -> PictureMade:
        ended = ledger.get(order.step, ())
        if order.purchase < len(ended):
            raise failing(ended[order.purchase])
        return picture(order)

    return make


def told(stage: Stage) -> list[tuple[Step, int, bool]]:
    return [(order.step, order.purchase, order.possible_duplicate) for order in stage.orders]


async def end_of(stage: Stage, name: str, kind: Kind) -> Closing:
    await stage.run(name, kind)
    (closing,) = stage.closings
    return closing


async def test_a_purchase_that_was_replaced_is_bought_once_more_and_marked(stage: Stage) -> None:
    stage.opened = plan(candidate(policy="review"), steps=(Step.avatar,))
    stage.make = found({Step.avatar: (PurchaseReplaced,)})
    closing = await end_of(stage, WORKFLOW_AVATAR, Kind.avatar)

    assert closing.outcome == "succeeded"
    assert told(stage) == [(Step.avatar, 0, False), (Step.avatar, 1, True)]


async def test_a_purchase_that_was_never_made_is_bought_anew_and_is_no_duplicate(stage: Stage) -> None:
    stage.opened = plan(steps=(Step.avatar,))
    stage.make = found({Step.avatar: (PurchaseNeverMade,)})
    closing = await end_of(stage, WORKFLOW_AVATAR, Kind.avatar)

    assert closing.outcome == "succeeded"
    assert told(stage) == [(Step.avatar, 0, False), (Step.avatar, 1, False)]


@pytest.mark.parametrize("decided", [PurchaseReplaced, PurchaseNeverMade])
async def test_a_decision_is_carried_out_however_often_the_picture_was_bought_before(
    stage: Stage, decided: type[DioramaError]
) -> None:
    before = (ProviderInterrupted, ProviderInterrupted, decided, decided, decided)
    stage.opened = plan(candidate(), steps=(Step.avatar,))
    stage.make = found({Step.avatar: before})
    closing = await end_of(stage, WORKFLOW_AVATAR, Kind.avatar)

    assert closing.outcome == "succeeded"
    assert len(stage.orders) == len(before) + 1


async def test_decisions_do_not_lift_the_limit_for_the_others(stage: Stage) -> None:
    before = (PurchaseReplaced, ProviderInterrupted, ProviderInterrupted, ProviderInterrupted)
    stage.opened = plan(candidate(), steps=(Step.avatar,))
    stage.make = found({Step.avatar: before})
    closing = await end_of(stage, WORKFLOW_AVATAR, Kind.avatar)

    assert closing.outcome == "failed"
    assert len(stage.orders) == len(before)


async def test_a_purchase_that_was_accepted_as_lost_fails_the_generation_and_buys_nothing(stage: Stage) -> None:
    stage.make = found({Step.scene: (PurchaseLost,)})
    closing = await end_of(stage, WORKFLOW_AVATAR_SCENE, Kind.avatar_scene)

    assert closing.failure is not None
    assert (closing.outcome, closing.failure.code, closing.failure.step) == ("failed", "purchase_lost", Step.scene)
    assert told(stage) == [(Step.avatar, 0, False), (Step.scene, 0, False)]
    assert stage.undone == [Step.scene, Step.avatar]


@pytest.mark.parametrize("policy", ["review", "resubmit"])
async def test_a_replacement_that_is_lost_too_goes_back_to_the_operators(stage: Stage, policy: str) -> None:
    stage.opened = plan(candidate(policy=policy), steps=(Step.avatar,))
    stage.make = found({Step.avatar: (PurchaseReplaced, OutcomeUnknown)})
    closing = await end_of(stage, WORKFLOW_AVATAR, Kind.avatar)

    assert closing.outcome == "needs_review"
    assert len(stage.orders) == 2
    assert stage.undone == []


async def test_a_generation_that_is_no_longer_wanted_takes_back_what_earlier_runs_made(stage: Stage) -> None:
    begun = (Step.avatar, Step.scene)
    stage.opened = plan().model_copy(update={"steps": (), "canceled": True, "begun": begun})
    closing = await end_of(stage, WORKFLOW_AVATAR_SCENE, Kind.avatar_scene)

    assert closing.outcome == "canceled"
    assert stage.orders == []
    assert stage.undone == [Step.scene, Step.avatar]


async def test_a_run_that_fails_early_takes_back_what_an_earlier_one_made_later(stage: Stage) -> None:
    stage.opened = plan().model_copy(update={"begun": (Step.avatar, Step.scene)})
    stage.make = found({Step.avatar: (PolicyRefused,)})
    closing = await end_of(stage, WORKFLOW_AVATAR_SCENE, Kind.avatar_scene)

    assert closing.outcome == "failed"
    assert stage.undone == [Step.scene, Step.avatar]
