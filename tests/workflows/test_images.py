"""Pictures that are made side by side have one fate; an enhancement starts from a picture that stays."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from contracts.names import WORKFLOW_ENHANCE, WORKFLOW_IMAGE
from contracts.pictures import PictureMade, PictureOrder
from contracts.statuses import Kind, Step
from errors import DioramaError, GenerationCanceled, ModelFailed, OutcomeUnknown, PolicyRefused, ProviderUnreachable
from tests.replay.generations import MADE_BEFORE
from tests.workflows.stage import Maker, Stage, candidate, failing, others_have_ended, picture, plan

VARIANTS = (Step.variant_1, Step.variant_2, Step.variant_3, Step.variant_4)
LONGER_THAN_ANY_TEST_S = 600


class Ensemble:
    """Makes pictures that know of each other: none ends before all have begun."""

    def __init__(self, stage: Stage, pictures: int = 4) -> None:
        self.all_began = asyncio.Event()
        self.stopped: list[Step] = []
        self._stage = stage
        self._pictures = pictures

    async def begin(self) -> None:
        if len(self._stage.orders) >= self._pictures:
            self.all_began.set()
        await self.all_began.wait()

    def failing_at(
        self, step: Step, error: type[DioramaError], when_stopped: type[DioramaError] | None = None
    ) -> Maker:
        """This step fails when all have begun; the others go on until they are stopped, or say why they ended then."""

        async def make(order: PictureOrder) -> PictureMade:
            await self.begin()
            if order.step is step:
                raise failing(error)
            try:
                await asyncio.sleep(LONGER_THAN_ANY_TEST_S)
            except asyncio.CancelledError:
                self.stopped.append(order.step)
                if when_stopped is not None:
                    raise failing(when_stopped) from None
                raise
            return picture(order)

        return make


@pytest.fixture(autouse=True)
def four_variants(stage: Stage) -> None:
    stage.opened = plan(candidate("replicate", "review"), candidate("openai", "review"), steps=VARIANTS)


async def test_all_variants_are_made_at_the_same_time_and_told_in_their_order(stage: Stage) -> None:
    ensemble = Ensemble(stage)

    async def make(order: PictureOrder) -> PictureMade:
        await ensemble.begin()
        return picture(order)

    stage.make = make
    failure = await stage.run(WORKFLOW_IMAGE, Kind.image)

    (closing,) = stage.closings
    assert failure is None
    assert closing.outcome == "succeeded"
    assert tuple(made.step for made in closing.pictures) == VARIANTS
    assert stage.undone == []


async def test_no_variant_tells_how_far_the_whole_is_unless_it_is_alone(stage: Stage) -> None:
    await stage.run(WORKFLOW_IMAGE, Kind.image)
    stage.opened = plan(steps=(Step.variant_1,))
    await stage.run(WORKFLOW_IMAGE, Kind.image)

    *together, alone = stage.orders
    assert {(order.beside, order.overall(1.0), order.parts) for order in together} == {(True, None, 4)}
    assert (alone.beside, alone.overall(1.0)) == (False, 1.0)


@pytest.mark.parametrize("given", [0, 1, 2, 16])
async def test_variants_work_from_the_pictures_of_the_plan(stage: Stage, given: int) -> None:
    references = tuple(MADE_BEFORE.model_copy(update={"width": number + 1}) for number in range(given))
    stage.opened = stage.opened.model_copy(update={"references": references})

    await stage.run(WORKFLOW_IMAGE, Kind.image)

    assert {order.works_from for order in stage.orders} == {references}


async def test_one_refused_variant_stops_the_others_before_all_are_taken_back(stage: Stage) -> None:
    ensemble = Ensemble(stage)
    stage.make = ensemble.failing_at(Step.variant_3, PolicyRefused)

    await stage.run(WORKFLOW_IMAGE, Kind.image)

    (closing,) = stage.closings
    assert sorted(ensemble.stopped) == [Step.variant_1, Step.variant_2, Step.variant_4]
    assert stage.undone == list(reversed(VARIANTS))
    assert closing.outcome == "failed"
    assert closing.failure is not None
    assert (closing.failure.code, closing.failure.step) == (PolicyRefused.code, Step.variant_3)


async def test_variants_that_were_stored_before_one_failed_are_taken_back_too(stage: Stage) -> None:
    ensemble = Ensemble(stage)

    async def make(order: PictureOrder) -> PictureMade:
        await ensemble.begin()
        if order.step is Step.variant_4:
            await others_have_ended(stage.client)
            raise failing(PolicyRefused)
        return picture(order)

    stage.make = make
    await stage.run(WORKFLOW_IMAGE, Kind.image)

    assert stage.undone == list(reversed(VARIANTS))
    assert stage.closings[0].pictures == ()


@pytest.mark.parametrize("when_stopped", [ProviderUnreachable, ModelFailed])
async def test_a_variant_that_is_being_stopped_is_not_bought_elsewhere(
    stage: Stage, when_stopped: type[DioramaError]
) -> None:
    stage.make = Ensemble(stage).failing_at(Step.variant_1, PolicyRefused, when_stopped)

    await stage.run(WORKFLOW_IMAGE, Kind.image)

    assert [order.candidate.provider for order in stage.orders] == ["replicate"] * 4
    assert stage.closings[0].failure is not None
    assert stage.closings[0].failure.code == PolicyRefused.code


async def test_a_variant_that_is_being_stopped_is_not_bought_once_more(stage: Stage) -> None:
    stage.opened = plan(candidate(policy="resubmit"), steps=VARIANTS)
    stage.make = Ensemble(stage).failing_at(Step.variant_1, PolicyRefused, OutcomeUnknown)

    await stage.run(WORKFLOW_IMAGE, Kind.image)

    assert [order.purchase for order in stage.orders] == [0] * 4


async def test_a_variant_of_unknown_outcome_waits_for_people_when_the_others_have_been_made(stage: Stage) -> None:
    ensemble = Ensemble(stage)
    unknown_told = asyncio.Event()

    async def make(order: PictureOrder) -> PictureMade:
        await ensemble.begin()
        if order.step is Step.variant_2:
            unknown_told.set()
            raise failing(OutcomeUnknown)
        await unknown_told.wait()
        return picture(order)

    stage.make = make
    await stage.run(WORKFLOW_IMAGE, Kind.image)

    (closing,) = stage.closings
    assert closing.outcome == "needs_review"
    assert closing.failure is not None
    assert closing.failure.step is Step.variant_2
    assert stage.undone == []
    assert len(stage.orders) == 4


async def test_an_unknown_outcome_among_those_that_were_stopped_is_for_people_too(stage: Stage) -> None:
    stage.make = Ensemble(stage).failing_at(Step.variant_1, PolicyRefused, OutcomeUnknown)

    await stage.run(WORKFLOW_IMAGE, Kind.image)

    assert stage.closings[0].outcome == "needs_review"
    assert stage.undone == []


async def test_each_variant_fails_over_by_itself(stage: Stage) -> None:
    async def make(order: PictureOrder) -> PictureMade:
        if order.step is Step.variant_2 and order.candidate.provider == "replicate":
            raise failing(ProviderUnreachable)
        return picture(order)

    stage.make = make
    failure = await stage.run(WORKFLOW_IMAGE, Kind.image)

    assert failure is None
    assert [made.provider for made in stage.closings[0].pictures] == ["replicate", "openai", "replicate", "replicate"]


async def test_a_cancel_in_the_middle_stops_all_and_takes_all_back(stage: Stage) -> None:
    ensemble = Ensemble(stage)
    stage.make = ensemble.failing_at(Step.avatar, PolicyRefused)  # none of these fails by itself
    handle = await stage.start(WORKFLOW_IMAGE, Kind.image)
    await ensemble.all_began.wait()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()

    assert isinstance(caught.value.cause, CancelledError)
    assert sorted(ensemble.stopped) == list(VARIANTS)
    assert stage.undone == list(reversed(VARIANTS))
    assert [(closing.outcome, closing.failure and closing.failure.step) for closing in stage.closings] == [
        ("canceled", None)
    ]


async def test_a_cancel_that_the_activities_hear_first_ends_the_same_way(stage: Stage) -> None:
    stage.make = Ensemble(stage).failing_at(Step.variant_1, GenerationCanceled, GenerationCanceled)

    await stage.run(WORKFLOW_IMAGE, Kind.image)

    assert [closing.outcome for closing in stage.closings] == ["canceled"]
    assert stage.undone == list(reversed(VARIANTS))


async def test_a_cancel_while_the_others_are_stopped_does_not_hurry_them(stage: Stage) -> None:
    ensemble = Ensemble(stage)
    may_end, canceling = asyncio.Event(), asyncio.Event()

    async def make(order: PictureOrder) -> PictureMade:
        await ensemble.begin()
        if order.step is Step.variant_1:
            raise failing(PolicyRefused)
        try:
            await asyncio.sleep(LONGER_THAN_ANY_TEST_S)
        except asyncio.CancelledError:
            canceling.set()
            await may_end.wait()  # something that must not be cut in two
            ensemble.stopped.append(order.step)
            raise
        return picture(order)

    stage.make = make
    handle = await stage.start(WORKFLOW_IMAGE, Kind.image)
    await canceling.wait()
    await handle.cancel()
    may_end.set()
    with pytest.raises(WorkflowFailureError):
        await handle.result()

    assert len(ensemble.stopped) == 3
    assert stage.undone == list(reversed(VARIANTS))
    assert [closing.outcome for closing in stage.closings] == ["failed"]


async def test_an_enhancement_starts_from_the_picture_of_its_plan(stage: Stage) -> None:
    stage.opened = plan(steps=(Step.enhanced,)).model_copy(update={"reference": MADE_BEFORE})

    failure = await stage.run(WORKFLOW_ENHANCE, Kind.enhance)

    assert failure is None
    assert [(order.step, order.works_from) for order in stage.orders] == [(Step.enhanced, (MADE_BEFORE,))]


async def test_a_failed_enhancement_takes_only_its_own_picture_back(stage: Stage) -> None:
    stage.opened = plan(steps=(Step.enhanced,)).model_copy(update={"reference": MADE_BEFORE})
    stage.make = _refuses

    await stage.run(WORKFLOW_ENHANCE, Kind.enhance)

    assert stage.undone == [Step.enhanced]


async def _refuses(_order: PictureOrder) -> PictureMade:
    raise failing(PolicyRefused)
