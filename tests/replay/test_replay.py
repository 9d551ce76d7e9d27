"""Histories of earlier releases must still replay: a failure here means that workflow.patched() is missing."""

import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from contracts.names import WORKFLOW_AVATAR_SCENE
from contracts.pictures import GenerationInput, Opened, PictureMade
from contracts.statuses import Step
from worker import WORKFLOWS
from workflows.generation import tell
from workflows.picture_step import PictureStep

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def replayer(workflows: list[type]) -> Replayer:
    return Replayer(
        workflows=workflows,
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


def history_in(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"generation/{path.stem}", path.read_text("utf-8"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_still_replays(path: Path) -> None:
    await replayer(WORKFLOWS).replay_workflow(history_in(path))


async def test_a_changed_story_is_caught() -> None:
    path = next(path for path in HISTORIES if path.stem == "avatar_scene-succeeded")

    with pytest.raises(workflow.NondeterminismError):
        await replayer([OnlyTheAvatar]).replay_workflow(history_in(path))


@workflow.defn(name=WORKFLOW_AVATAR_SCENE)
class OnlyTheAvatar:
    """The chain without its scene."""

    @workflow.run
    async def run(self, given: GenerationInput) -> None:
        await tell(given, self._story)

    async def _story(self, plan: Opened, pictures: PictureStep) -> tuple[PictureMade, ...]:
        return (await pictures.make(plan.step(Step.avatar)),)


def test_histories_hold_no_prompt_and_name_no_machine() -> None:
    for path in HISTORIES:
        text = path.read_text("utf-8")
        events = json.loads(text)["events"]

        assert len(events) < 60, path.stem  # a chain must not grow without anybody noticing
        assert '"identity"' not in text
        assert "stackTrace" not in text
