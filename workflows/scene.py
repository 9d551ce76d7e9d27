"""A scene with an avatar that exists already."""

from temporalio import workflow

from contracts.names import WORKFLOW_SCENE
from contracts.pictures import GenerationInput, Opened, PictureMade
from contracts.statuses import Step
from workflows.generation import tell
from workflows.picture_step import PictureStep


@workflow.defn(name=WORKFLOW_SCENE)
class Scene:
    """An avatar that was made before, or came from a client, in a theme."""

    @workflow.run
    async def run(self, given: GenerationInput) -> None:
        """Make it, or leave nothing behind."""
        await tell(given, self._story)

    async def _story(self, plan: Opened, pictures: PictureStep) -> tuple[PictureMade, ...]:
        return (await pictures.make(plan.step(Step.scene), reference=plan.reference),)
