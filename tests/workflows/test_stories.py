"""What the stories do with fake pictures: order, roll-back, failover, cancellation."""

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from contracts.names import WORKFLOW_AVATAR, WORKFLOW_AVATAR_SCENE, WORKFLOW_SCENE
from contracts.pictures import Opened, PictureMade, PictureOrder
from contracts.statuses import Kind, Step
from errors import (
    CircuitOpen,
    GenerationCanceled,
    LanePaused,
    ModelFailed,
    OutcomeUnknown,
    PolicyRefused,
    ProviderError,
    ProviderInterrupted,
    ProviderUnavailable,
    ProviderUnreachable,
)
from tests.workflows.stage import Stage, candidate, failing, picture, plan


async def test_a_chain_makes_the_avatar_and_then_the_scene_with_it(stage: Stage) -> None:
    failure = await stage.run(WORKFLOW_AVATAR_SCENE)

    avatar, scene = stage.orders
    (closing,) = stage.closings
    assert failure is None
    assert (avatar.step, avatar.reference) == (Step.avatar, None)
    assert scene.step is Step.scene
    assert scene.reference == closing.pictures[0].asset
    assert closing.outcome == "succeeded"
    assert stage.undone == []


async def test_a_single_avatar_is_one_picture(stage: Stage) -> None:
    stage.opened = plan(steps=(Step.avatar,))

    failure = await stage.run(WORKFLOW_AVATAR, Kind.avatar)

    assert failure is None
    assert [order.step for order in stage.orders] == [Step.avatar]


async def test_a_scene_starts_from_the_picture_of_its_plan(stage: Stage) -> None:
    reference = picture(_order()).asset
    stage.opened = plan(steps=(Step.scene,)).model_copy(update={"reference": reference})

    await stage.run(WORKFLOW_SCENE, Kind.scene)

    assert stage.orders[0].reference == reference


async def test_a_failed_scene_takes_the_avatar_back_newest_first(stage: Stage) -> None:
    stage.make = _fails_for(Step.scene, PolicyRefused)

    failure = await stage.run(WORKFLOW_AVATAR_SCENE)

    (closing,) = stage.closings
    assert stage.undone == [Step.scene, Step.avatar]
    assert closing.outcome == "failed"
    assert closing.failure is not None
    assert (closing.failure.code, closing.failure.step) == (PolicyRefused.code, Step.scene)
    assert [report.step for report in closing.rollback] == [Step.scene, Step.avatar]
    assert failure is not None
    assert isinstance(failure.cause, ApplicationError)


async def test_a_picture_that_a_client_brought_is_taken_back_too(stage: Stage) -> None:
    stage.opened = plan(steps=(Step.scene,)).model_copy(update={"reference": picture(_order()).asset})
    stage.make = _fails_for(Step.scene, PolicyRefused)

    await stage.run(WORKFLOW_SCENE, Kind.scene)

    assert stage.undone == [Step.scene, Step.input]


async def test_an_unreachable_provider_hands_over_to_the_next_candidate(stage: Stage) -> None:
    async def make(order: PictureOrder) -> PictureMade:
        if order.candidate.provider == "replicate":
            raise failing(ProviderUnreachable)
        return picture(order)

    stage.make = make
    failure = await stage.run(WORKFLOW_AVATAR_SCENE)

    asked = [(order.step, order.candidate.provider, order.purchase) for order in stage.orders]
    assert failure is None
    assert asked[:2] == [(Step.avatar, "replicate", 0), (Step.avatar, "openai", 1)]
    assert {made.provider for made in stage.closings[0].pictures} == {"openai"}


async def test_each_candidate_is_told_how_many_others_could_make_the_picture(stage: Stage) -> None:
    stage.make = _fails_for(Step.avatar, ProviderUnreachable)

    await stage.run(WORKFLOW_AVATAR_SCENE)

    assert [(order.candidate.provider, order.alternatives) for order in stage.orders] == [
        ("replicate", 1),
        ("openai", 0),
    ]


async def test_who_is_asked_next_is_decided_at_the_failure(stage: Stage) -> None:
    third = candidate("replicate").model_copy(update={"model": "third"})
    stage.opened = plan(candidate("replicate"), candidate("openai"), third)
    stage.reorder = lambda order: tuple(reversed(order.rest))
    stage.make = _fails_for(Step.avatar, ProviderUnreachable)

    await stage.run(WORKFLOW_AVATAR_SCENE)

    asked = [(order.candidate.provider, order.candidate.model, order.alternatives) for order in stage.orders]
    assert asked == [("replicate", "model-x", 2), ("replicate", "third", 1), ("openai", "model-x", 0)]
    assert [(len(order.tried), len(order.rest), order.purchases) for order in stage.replans] == [(1, 2, 1), (2, 1, 2)]
    assert {order.failure.code for order in stage.replans} == {ProviderUnreachable.code}


async def test_when_nobody_may_be_asked_any_more_the_failure_stands(stage: Stage) -> None:
    stage.reorder = lambda _order: ()
    stage.make = _fails_for(Step.avatar, ProviderUnreachable)

    await stage.run(WORKFLOW_AVATAR_SCENE)

    assert [order.candidate.provider for order in stage.orders] == ["replicate"]
    assert stage.closings[0].failure is not None
    assert stage.closings[0].failure.code == ProviderUnreachable.code


@pytest.mark.parametrize("error", [LanePaused, CircuitOpen])
async def test_a_lane_that_is_paused_or_broken_is_passed_by(stage: Stage, error: type[ProviderError]) -> None:
    async def make(order: PictureOrder) -> PictureMade:
        if order.candidate.provider == "replicate":
            raise failing(error)
        return picture(order)

    stage.make = make

    assert await stage.run(WORKFLOW_AVATAR_SCENE) is None
    assert [order.candidate.provider for order in stage.orders][:2] == ["replicate", "openai"]


async def test_without_a_failure_nothing_is_decided_anew(stage: Stage) -> None:
    await stage.run(WORKFLOW_AVATAR_SCENE)

    assert stage.replans == []


async def test_a_second_purchase_says_so_although_another_provider_makes_it(stage: Stage) -> None:
    answers = [OutcomeUnknown, CircuitOpen]

    async def make(order: PictureOrder) -> PictureMade:
        if answers:
            raise failing(answers.pop(0))
        return picture(order)

    stage.make = make
    await stage.run(WORKFLOW_AVATAR_SCENE)

    asked = [(order.step, order.candidate.provider, order.possible_duplicate) for order in stage.orders]
    assert asked == [
        (Step.avatar, "replicate", False),
        (Step.avatar, "replicate", True),
        (Step.avatar, "openai", True),
        (Step.scene, "replicate", False),
    ]


async def test_a_policy_refusal_is_not_tried_elsewhere(stage: Stage) -> None:
    stage.make = _fails_for(Step.avatar, PolicyRefused)

    await stage.run(WORKFLOW_AVATAR_SCENE)

    assert len(stage.orders) == 1


async def test_when_every_candidate_failed_the_generation_fails(stage: Stage) -> None:
    stage.make = _fails_for(Step.avatar, ModelFailed)

    await stage.run(WORKFLOW_AVATAR_SCENE)

    assert [order.candidate.provider for order in stage.orders] == ["replicate", "openai"]
    assert stage.closings[0].outcome == "failed"


async def test_an_interrupted_job_is_bought_again_at_most_twice_before_the_next_candidate(stage: Stage) -> None:
    stage.opened = plan(candidate("replicate"), candidate("openai"), steps=(Step.avatar,))
    stage.make = _fails_for(Step.avatar, ProviderInterrupted)

    await stage.run(WORKFLOW_AVATAR, Kind.avatar)

    providers = [order.candidate.provider for order in stage.orders]
    assert providers == ["replicate"] * 3 + ["openai"] * 3
    assert [order.purchase for order in stage.orders] == list(range(6))


async def test_an_unknown_cheap_purchase_is_bought_once_more_and_flagged(stage: Stage) -> None:
    stage.opened = plan(candidate(policy="resubmit"), steps=(Step.avatar,))
    stage.make = _fails_for(Step.avatar, OutcomeUnknown)

    await stage.run(WORKFLOW_AVATAR, Kind.avatar)

    assert [order.possible_duplicate for order in stage.orders] == [False, True]
    assert stage.closings[0].outcome == "needs_review"


async def test_an_unknown_dear_purchase_waits_for_people_and_nothing_is_taken_back(stage: Stage) -> None:
    stage.opened = plan(candidate(policy="review"), steps=(Step.avatar,))
    stage.make = _fails_for(Step.avatar, OutcomeUnknown)

    await stage.run(WORKFLOW_AVATAR, Kind.avatar)

    assert len(stage.orders) == 1
    assert stage.closings[0].outcome == "needs_review"
    assert stage.undone == []


async def test_a_cancel_while_a_picture_is_made_takes_everything_back(stage: Stage) -> None:
    waiting = asyncio.Event()

    async def make(order: PictureOrder) -> PictureMade:
        if order.step is Step.avatar:
            return picture(order)
        waiting.set()
        await asyncio.sleep(60)
        return picture(order)

    stage.make = make
    handle = await stage.start(WORKFLOW_AVATAR_SCENE)
    await waiting.wait()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()

    assert isinstance(caught.value.cause, CancelledError)
    assert stage.undone == [Step.scene, Step.avatar]
    assert [closing.outcome for closing in stage.closings] == ["canceled"]
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_a_cancel_that_the_activity_hears_first_ends_the_same_way(stage: Stage) -> None:
    stage.make = _fails_for(Step.scene, GenerationCanceled)

    await stage.run(WORKFLOW_AVATAR_SCENE)

    assert stage.undone == [Step.scene, Step.avatar]
    assert [closing.outcome for closing in stage.closings] == ["canceled"]


async def test_a_cancel_during_the_roll_back_does_not_interrupt_it(stage: Stage) -> None:
    stage.undo_may_go_on.clear()
    stage.make = _fails_for(Step.scene, PolicyRefused)
    handle = await stage.start(WORKFLOW_AVATAR_SCENE)
    await stage.undo_begun.wait()
    await handle.cancel()
    stage.undo_may_go_on.set()
    with pytest.raises(WorkflowFailureError):
        await handle.result()

    assert stage.undone == [Step.scene, Step.avatar]
    assert [closing.outcome for closing in stage.closings] == ["failed"]


async def test_a_generation_canceled_before_it_began_buys_nothing(stage: Stage) -> None:
    stage.opened = Opened(steps=(), canceled=True)

    await stage.run(WORKFLOW_AVATAR_SCENE)

    assert stage.orders == []
    assert [closing.outcome for closing in stage.closings] == ["canceled"]


async def test_what_cannot_be_taken_back_is_reported_and_the_rest_is_taken_back(stage: Stage) -> None:
    stage.undo_fails = True
    stage.make = _fails_for(Step.scene, PolicyRefused)

    await stage.run(WORKFLOW_AVATAR_SCENE)

    (closing,) = stage.closings
    assert closing.outcome == "failed"
    assert [bool(report.remaining) for report in closing.rollback] == [True, True]


def _order() -> PictureOrder:
    from uuid import UUID

    zero = UUID(int=0)
    return PictureOrder(
        generation_id=zero,
        tenant_id=zero,
        step=Step.avatar,
        purchase=0,
        candidate=candidate(),
        reference=None,
        deadline_s=60,
    )


def _fails_for(step: Step, error: type[Exception]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    async def make(order: PictureOrder) -> PictureMade:
        if order.step is step:
            raise failing(error)  # type: ignore[arg-type]
        return picture(order)

    return make


async def test_a_purchase_that_ran_out_of_attempts_is_taken_back_and_not_bought_elsewhere(stage: Stage) -> None:
    async def make(order: PictureOrder) -> PictureMade:
        raise ApplicationError("away", type=ProviderUnavailable.code)  # retryable: the purchase is still open

    stage.make = make
    await stage.run(WORKFLOW_AVATAR_SCENE)

    assert {order.candidate.provider for order in stage.orders} == {"replicate"}
    assert {order.purchase for order in stage.orders} == {0}
    assert stage.undone == [Step.avatar]


async def test_orders_say_which_part_of_the_whole_they_are(stage: Stage) -> None:
    await stage.run(WORKFLOW_AVATAR_SCENE)

    assert [(order.part, order.parts, order.overall(1.0)) for order in stage.orders] == [(0, 2, 0.5), (1, 2, 1.0)]
