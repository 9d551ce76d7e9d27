"""An avatar, then a scene with that avatar in it; when the scene fails, the avatar is taken back."""

from temporalio import workflow

from contracts.names import WORKFLOW_AVATAR_SCENE
from contracts.pictures import GenerationInput, Opened, PictureMade
from contracts.statuses import Step
from workflows.generation import tell
from workflows.picture_step import PictureStep


@workflow.defn(name=WORKFLOW_AVATAR_SCENE)
class AvatarScene:
    """Two pictures, one fate."""

    @workflow.run
    async def run(self, given: GenerationInput) -> None:
        """Make both, or leave nothing behind."""
        await tell(given, self._story)

    async def _story(self, plan: Opened, pictures: PictureStep) -> tuple[PictureMade, ...]:
        avatar = await pictures.make(plan.step(Step.avatar))
        scene = await pictures.make(plan.step(Step.scene), reference=avatar.asset)
        return avatar, scene
