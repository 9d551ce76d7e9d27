"""Histories of earlier releases must still replay: a failure here means that workflow.patched() is missing."""

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from contracts.names import WORKFLOW_AVATAR_SCENE
from contracts.pictures import GenerationInput, Opened, PictureMade
from contracts.statuses import Step
from tests.replay.record import OUTCOMES
from tests.replay.recording import HISTORIES, recordings
from worker import WORKFLOWS
from workflows.generation import tell
from workflows.picture_step import PictureStep

FILES = sorted(HISTORIES.glob("*.json"))
# A chain must not grow without anybody noticing. These are made of many rounds.
LONGEST = 60
LONGER = {
    "deliver_webhook-given-up": 120,
    "avatar_scene-bought-again-in-vain": 70,
    "avatar_scene-bought-again-in-vain@2": 70,
    "image-bought-again-in-vain": 80,
    "delete_session-given-up": 70,
    "erase-goes-on": 80,
}


def replayer(workflows: list[type]) -> Replayer:
    return Replayer(
        workflows=workflows,
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


def history_in(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"generation/{path.stem}", path.read_text("utf-8"))


def events_in(path: Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["events"]
    return events


def type_of(path: Path) -> str:
    started = events_in(path)[0]["workflowExecutionStartedEventAttributes"]
    return str(started["workflowType"]["name"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_a_recorded_history_still_replays(path: Path) -> None:
    await replayer(WORKFLOWS).replay_workflow(history_in(path))


@pytest.mark.parametrize("label", OUTCOMES)
def test_every_outcome_has_a_history(label: str) -> None:
    assert recordings(label), f"run `python -m tests.replay.record {label}`"


@pytest.mark.parametrize("registered", WORKFLOWS, ids=lambda registered: registered.__name__)
def test_every_workflow_has_its_outcomes_recorded(registered: type) -> None:
    name = workflow._Definition.must_from_class(registered).name
    histories = [path for label in OUTCOMES for path in recordings(label) if type_of(path) == name]

    assert histories, "add its outcomes to a module of tests/replay/record.py"


async def test_a_changed_story_is_caught() -> None:
    (path, *_) = recordings("avatar_scene-succeeded")

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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_history_is_short_and_names_no_machine(path: Path) -> None:
    text = path.read_text("utf-8")

    assert len(events_in(path)) < LONGER.get(path.stem, LONGEST)
    assert '"identity"' not in text
    assert "stackTrace" not in text
