"""Record the histories that the replay test holds on to: `python -m tests.replay.record`, after a workflow was meant to change.

Each outcome of each workflow leaves one file. Identities and stack traces are taken out: they name machines.
"""

import asyncio
import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from contracts.names import SEARCH_ATTRIBUTES, WORKFLOW_AVATAR, WORKFLOW_AVATAR_SCENE, WORKFLOW_SCENE
from contracts.pictures import PictureMade, PictureOrder
from contracts.statuses import Kind, Step
from errors import (
    DioramaError,
    GenerationCanceled,
    OutcomeUnknown,
    PolicyRefused,
    ProviderInterrupted,
    ProviderUnreachable,
)
from tests.workflows.stage import Stage, candidate, failing, picture, plan

HISTORIES = Path(__file__).parent / "histories"
UNWANTED = {"identity", "stackTrace", "workerVersion", "sdkMetadata"}
Maker = Callable[[PictureOrder], Awaitable[PictureMade]]


def fails_once(step: Step, error: type[DioramaError], times: int = 100) -> Maker:
    left = [times]

    async def make(order: PictureOrder) -> PictureMade:
        if order.step is step and left[0] > 0:
            left[0] -= 1
            raise failing(error)
        return picture(order)

    return make


OUTCOMES: dict[str, tuple[str, Kind, tuple[Step, ...], Maker | None]] = {
    "avatar_scene-succeeded": (WORKFLOW_AVATAR_SCENE, Kind.avatar_scene, (Step.avatar, Step.scene), None),
    "avatar_scene-scene-refused": (
        WORKFLOW_AVATAR_SCENE,
        Kind.avatar_scene,
        (Step.avatar, Step.scene),
        fails_once(Step.scene, PolicyRefused),
    ),
    "avatar_scene-canceled": (
        WORKFLOW_AVATAR_SCENE,
        Kind.avatar_scene,
        (Step.avatar, Step.scene),
        fails_once(Step.scene, GenerationCanceled),
    ),
    "avatar_scene-failed-over": (
        WORKFLOW_AVATAR_SCENE,
        Kind.avatar_scene,
        (Step.avatar, Step.scene),
        fails_once(Step.avatar, ProviderUnreachable, 1),
    ),
    "avatar-succeeded": (WORKFLOW_AVATAR, Kind.avatar, (Step.avatar,), None),
    "avatar-bought-again": (
        WORKFLOW_AVATAR,
        Kind.avatar,
        (Step.avatar,),
        fails_once(Step.avatar, ProviderInterrupted, 1),
    ),
    "avatar-needs-review": (WORKFLOW_AVATAR, Kind.avatar, (Step.avatar,), fails_once(Step.avatar, OutcomeUnknown)),
    "scene-succeeded": (WORKFLOW_SCENE, Kind.scene, (Step.scene,), None),
}


def without(unwanted: set[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without(unwanted, inner) for name, inner in value.items() if name not in unwanted}
    return [without(unwanted, inner) for inner in value] if isinstance(value, list) else value


async def record(environment: WorkflowEnvironment, label: str) -> None:
    name, kind, steps, make = OUTCOMES[label]
    async with Stage(environment.client, max_cached_workflows=100) as stage:
        stage.opened = plan(candidate("replicate", "review"), candidate("openai"), steps=steps)
        stage.make = make or stage.make
        handle = await stage.start(name, kind)
        try:
            await handle.result()
        except WorkflowFailureError as error:
            print(f"{label}: ended as {type(error.cause).__name__}")  # noqa: T201 - a tool for people
        history = json.loads((await handle.fetch_history()).to_json())
    text = json.dumps(without(UNWANTED, history), indent=1)
    await asyncio.to_thread((HISTORIES / f"{label}.json").write_text, text + "\n", "utf-8")


async def main() -> None:
    HISTORIES.mkdir(exist_ok=True)
    path = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=path, data_converter=pydantic_data_converter
    ) as environment:
        names = dict.fromkeys(SEARCH_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(search_attributes=names)
        )
        for label in OUTCOMES:
            await record(environment, label)


if __name__ == "__main__":
    asyncio.run(main())
