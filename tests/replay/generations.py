"""Every way in which the story of a generation can end, for each story."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from contracts.names import WORKFLOW_AVATAR, WORKFLOW_AVATAR_SCENE, WORKFLOW_ENHANCE, WORKFLOW_IMAGE, WORKFLOW_SCENE
from contracts.pictures import AssetRef, Opened, PictureMade, PictureOrder
from contracts.statuses import Kind, Step
from errors import (
    DioramaError,
    GenerationCanceled,
    OutcomeUnknown,
    OutputCorrupt,
    PolicyRefused,
    PromiseExhausted,
    ProviderInterrupted,
    ProviderUnavailable,
    ProviderUnreachable,
    PurchaseNeverMade,
    PurchaseReplaced,
    WorkerStopping,
)
from tests.replay.recording import Handle, Outcome
from tests.workflows.stage import Maker, Stage, candidate, failing, others_have_ended, picture, plan

# Sets the stage for one outcome; the step is the story's last.
Setting = Callable[[Stage, Step], None]

STORIES: dict[str, tuple[str, Kind, tuple[Step, ...]]] = {
    "avatar": (WORKFLOW_AVATAR, Kind.avatar, (Step.avatar,)),
    "scene": (WORKFLOW_SCENE, Kind.scene, (Step.scene,)),
    "avatar_scene": (WORKFLOW_AVATAR_SCENE, Kind.avatar_scene, (Step.avatar, Step.scene)),
    "image": (WORKFLOW_IMAGE, Kind.image, (Step.variant_1, Step.variant_2)),
    "enhance": (WORKFLOW_ENHANCE, Kind.enhance, (Step.enhanced,)),
}


# The picture that a scene, or an enhancement, starts from.
MADE_BEFORE = AssetRef(
    asset_id=UUID(int=2), key="k", sha256="0" * 64, size_bytes=1, content_type="image/png", width=1, height=1
)


def fails(error: type[DioramaError], times: int = 1000) -> Setting:
    """The last picture fails so, so many times; the ledger has closed the purchase."""

    def setting(stage: Stage, last: Step) -> None:
        stage.make = _failing(last, failing(error), times)

    return setting


def _failing(step: Step, error: ApplicationError, times: int) -> Maker:
    left = [times]

    async def make(order: PictureOrder) -> PictureMade:
        if order.step is step and left[0] > 0:
            left[0] -= 1
            raise error
        return picture(order)

    return make


def _after_the_others(stage: Stage, last: Step) -> Maker:
    """The last picture is made, or fails, when all others have ended."""
    make = stage.make

    async def make_after(order: PictureOrder) -> PictureMade:
        if order.step is last:
            await others_have_ended(stage.client)
        return await make(order)

    return make_after


def stops_the_others(stage: Stage, last: Step) -> None:
    """All begin, one is refused, and the others are stopped in the middle."""
    all_began = asyncio.Event()

    async def make(order: PictureOrder) -> PictureMade:
        if len(stage.orders) == len(stage.opened.steps):
            all_began.set()
        await all_began.wait()
        if order.step is last:
            raise failing(PolicyRefused)
        await asyncio.sleep(60)  # until the engine says so with a heartbeat's answer
        return picture(order)

    stage.make = make


def succeeds(_stage: Stage, _last: Step) -> None:
    """Nothing goes wrong."""


def runs_out_of_attempts(stage: Stage, last: Step) -> None:
    away = ApplicationError("away", type=ProviderUnavailable.code)  # retryable: the purchase is still open
    stage.make = _failing(last, away, 1000)


def hands_over_to_the_next_attempt(stage: Stage, last: Step) -> None:
    stage.make = _failing(last, ApplicationError("the worker stops", type=WorkerStopping.code), 2)


def undo_does_not_finish(stage: Stage, last: Step) -> None:
    fails(PolicyRefused)(stage, last)
    stage.undo_fails = True


def unknown_and_cheap(stage: Stage, last: Step) -> None:
    steps = [one.step for one in stage.opened.steps]
    cheap = plan(candidate(policy="resubmit"), steps=tuple(steps))
    stage.opened = stage.opened.model_copy(update={"steps": cheap.steps})
    fails(OutcomeUnknown, 1)(stage, last)


def has_no_room_for_a_second(stage: Stage, _last: Step) -> None:
    """The first purchase is lost, and the price that was promised has no room for another."""
    no_room = ApplicationError(PromiseExhausted.title, {"billed": "no"}, type=PromiseExhausted.code, non_retryable=True)

    async def make(order: PictureOrder) -> PictureMade:
        raise no_room if order.purchase else failing(ProviderInterrupted)

    stage.make = make


def canceled_in_mid_flight(stage: Stage, last: Step) -> None:
    async def make(order: PictureOrder) -> PictureMade:
        if order.step is last:
            await stage.client.get_workflow_handle(activity.info().workflow_id or "").cancel()
            await asyncio.sleep(60)  # until the engine says so with a heartbeat's answer
        return picture(order)

    stage.make = make


def canceled_while_taking_back(stage: Stage, last: Step) -> None:
    stage.undo_may_go_on.clear()
    canceling: list[asyncio.Task[None]] = []

    async def cancel(workflow_id: str) -> None:
        await stage.undo_begun.wait()
        await stage.client.get_workflow_handle(workflow_id).cancel()
        stage.undo_may_go_on.set()

    async def make(order: PictureOrder) -> PictureMade:
        if order.step is last:
            canceling.append(asyncio.create_task(cancel(activity.info().workflow_id or "")))
            raise failing(PolicyRefused)
        return picture(order)

    stage.make = make


def canceled_before_it_began(stage: Stage, _last: Step) -> None:
    stage.opened = Opened(steps=(), canceled=True)


def canceled_before_it_was_told_again(stage: Stage, last: Step) -> None:
    stage.opened = Opened(steps=(), canceled=True, begun=(last,))


def told_again(stage: Stage, last: Step) -> None:
    stage.opened = stage.opened.model_copy(update={"begun": (Step.avatar,)})
    fails(PolicyRefused)(stage, last)


def ended_already(stage: Stage, _last: Step) -> None:
    stage.opened = Opened(steps=(), ended=True)


def opened_at_the_third_try(stage: Stage, _last: Step) -> None:
    stage.open_fails = 2


SETTINGS: dict[str, Setting] = {
    "succeeded": succeeds,
    "refused": fails(PolicyRefused),
    "failed-over": fails(ProviderUnreachable, 1),
    "failed-at-every-candidate": fails(ProviderUnreachable),
    "bought-again": fails(ProviderInterrupted, 1),
    "bought-again-in-vain": fails(ProviderInterrupted),
    "paid-in-vain": fails(OutputCorrupt),
    "resubmitted": unknown_and_cheap,
    "needs-review": fails(OutcomeUnknown),
    "replaced": fails(PurchaseReplaced, 1),
    "never-made": fails(PurchaseNeverMade, 1),
    "out-of-attempts": runs_out_of_attempts,
    "handed-over": hands_over_to_the_next_attempt,
    "canceled": fails(GenerationCanceled),
    "canceled-in-mid-flight": canceled_in_mid_flight,
    "canceled-while-taking-back": canceled_while_taking_back,
    "canceled-before-it-began": canceled_before_it_began,
    "canceled-before-it-was-told-again": canceled_before_it_was_told_again,
    "told-again": told_again,
    "undo-unfinished": undo_does_not_finish,
    "ended-already": ended_already,
    "opened-at-the-third-try": opened_at_the_third_try,
}


def told(story: str, setting: Setting) -> Outcome:
    """Tells this story on a stage that is set so."""
    name, kind, steps = STORIES[story]

    async def run_to_the_end(client: Client) -> Handle:
        async with Stage(client, max_cached_workflows=100) as stage:
            opened = plan(candidate("replicate", "review"), candidate("openai", "review"), steps=steps)
            starts_from_one = kind in {Kind.scene, Kind.enhance}
            stage.opened = opened.model_copy(update={"reference": MADE_BEFORE if starts_from_one else None})
            setting(stage, steps[-1])
            if kind is Kind.image and setting is not stops_the_others:
                stage.make = _after_the_others(stage, steps[-1])
            handle = await stage.start(name, kind)
            with suppress(WorkflowFailureError):
                await handle.result()
            return handle

    return run_to_the_end


OF_ONE_STORY = {
    "image-others-stopped": told("image", stops_the_others),
    "avatar-no-room-for-a-second": told("avatar", has_no_room_for_a_second),
}
OUTCOMES: dict[str, Outcome] = OF_ONE_STORY | {
    f"{story}-{outcome}": told(story, setting) for story in STORIES for outcome, setting in SETTINGS.items()
}
