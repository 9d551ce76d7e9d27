"""Pictures from the caller's own words, side by side; when one cannot be made, all are taken back."""

from temporalio import workflow

from contracts.names import WORKFLOW_IMAGE
from contracts.pictures import GenerationInput, Opened, PictureMade
from workflows.generation import tell
from workflows.picture_step import PictureStep


@workflow.defn(name=WORKFLOW_IMAGE)
class Image:
    """One to ten pictures, one fate."""

    @workflow.run
    async def run(self, given: GenerationInput) -> None:
        """Make all of them, or leave nothing behind."""
        await tell(given, self._story)

    async def _story(self, plan: Opened, pictures: PictureStep) -> tuple[PictureMade, ...]:
        return await pictures.make_side_by_side(plan.steps, plan.references)
