"""A better version of a picture that exists already."""

from temporalio import workflow

from contracts.names import WORKFLOW_ENHANCE
from contracts.pictures import GenerationInput, Opened, PictureMade
from contracts.statuses import Step
from workflows.generation import tell
from workflows.picture_step import PictureStep


@workflow.defn(name=WORKFLOW_ENHANCE)
class Enhance:
    """Larger, or with its faces restored; the picture that it starts from stays as it is."""

    @workflow.run
    async def run(self, given: GenerationInput) -> None:
        """Make it, or leave nothing behind."""
        await tell(given, self._story)

    async def _story(self, plan: Opened, pictures: PictureStep) -> tuple[PictureMade, ...]:
        return (await pictures.make(plan.step(Step.enhanced), reference=plan.reference),)
