"""What earlier releases wrote into histories is still understood: a field may be added with a default, and nothing else."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError, create_model

from contracts.erasures import ErasureOrder
from contracts.frozen import Frozen
from contracts.names import (
    ACTIVITY_ATTEST,
    ACTIVITY_BEGUN,
    ACTIVITY_CLOSE,
    ACTIVITY_DELETE_SESSION,
    ACTIVITY_DELIVER,
    ACTIVITY_ERASE,
    ACTIVITY_MAKE_PICTURE,
    ACTIVITY_OPEN,
    ACTIVITY_RECONCILE,
    ACTIVITY_REPLAN,
    ACTIVITY_UNDO_PICTURE,
    WORKFLOW_AVATAR,
    WORKFLOW_AVATAR_SCENE,
    WORKFLOW_DELETE_SESSION,
    WORKFLOW_DELIVER,
    WORKFLOW_ENHANCE,
    WORKFLOW_ERASE,
    WORKFLOW_IMAGE,
    WORKFLOW_RECONCILE,
    WORKFLOW_SCENE,
    WORKFLOW_TAKE_BACK,
)
from contracts.pictures import (
    Begun,
    GenerationInput,
    Opened,
    PictureMade,
    PictureOrder,
    SessionDeletion,
    UndoOrder,
    UndoReport,
)
from contracts.reconciliation import CheckOrder, CheckReport, ReconcileOrder
from contracts.replanning import Replanned
from contracts.webhooks import AttemptOrder, AttemptReport, DeliveryInput
from tests.replay.recording import HISTORIES

FILES = sorted(HISTORIES.glob("*.json"))
FIRST_RELEASE = HISTORIES / "avatar_scene-succeeded.json"
TAKEN: dict[str, type[BaseModel]] = {
    WORKFLOW_AVATAR: GenerationInput,
    WORKFLOW_SCENE: GenerationInput,
    WORKFLOW_AVATAR_SCENE: GenerationInput,
    WORKFLOW_IMAGE: GenerationInput,
    WORKFLOW_ENHANCE: GenerationInput,
    WORKFLOW_TAKE_BACK: GenerationInput,
    WORKFLOW_DELETE_SESSION: SessionDeletion,
    WORKFLOW_ERASE: ErasureOrder,
    WORKFLOW_DELIVER: DeliveryInput,
    WORKFLOW_RECONCILE: ReconcileOrder,
    ACTIVITY_MAKE_PICTURE: PictureOrder,
    ACTIVITY_UNDO_PICTURE: UndoOrder,
    ACTIVITY_DELETE_SESSION: SessionDeletion,
    ACTIVITY_ERASE: ErasureOrder,
    ACTIVITY_ATTEST: ErasureOrder,
    ACTIVITY_DELIVER: AttemptOrder,
    ACTIVITY_RECONCILE: CheckOrder,
}
GIVEN: dict[str, type[BaseModel] | None] = {
    ACTIVITY_MAKE_PICTURE: PictureMade,
    ACTIVITY_UNDO_PICTURE: UndoReport,
    ACTIVITY_DELIVER: AttemptReport,
    ACTIVITY_RECONCILE: CheckReport,
    ACTIVITY_OPEN: Opened,
    ACTIVITY_BEGUN: Begun,
    ACTIVITY_REPLAN: Replanned,
    ACTIVITY_CLOSE: None,
    ACTIVITY_DELETE_SESSION: None,  # a number
    ACTIVITY_ERASE: None,  # a number
    ACTIVITY_ATTEST: None,  # a yes or no
}


def payloads(path: Path) -> Iterator[tuple[type[BaseModel] | None, str]]:
    """Every input and result in a history, with the contract that it was written as."""
    events: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["events"]
    scheduled: dict[str, str] = {}
    for event in events:
        if started := event.get("workflowExecutionStartedEventAttributes"):
            yield from ((TAKEN[started["workflowType"]["name"]], text) for text in decoded(started["input"]))
        if order := event.get("activityTaskScheduledEventAttributes"):
            scheduled[event["eventId"]] = name = order["activityType"]["name"]
            yield from ((TAKEN[name], text) for text in decoded(order["input"]))
        if answer := event.get("activityTaskCompletedEventAttributes"):
            name = scheduled[answer["scheduledEventId"]]
            yield from ((GIVEN[name], text) for text in decoded(answer.get("result", {})))
        marker = event.get("markerRecordedEventAttributes")
        if marker and marker["markerName"] == "core_local_activity":
            (facts,) = decoded(marker["details"]["data"])
            contract = GIVEN[json.loads(facts)["activity_type"]]
            yield from ((contract, text) for text in decoded(marker["details"].get("result", {})))


def decoded(value: dict[str, Any]) -> Iterator[str]:
    for payload in value.get("payloads", ()):
        yield base64.b64decode(payload.get("data", "")).decode()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_history_holds_is_still_understood(path: Path) -> None:
    found = [(contract, text) for contract, text in payloads(path) if contract is not None]

    assert found
    for contract, text in found:
        contract.model_validate_json(text)


def test_the_orders_of_the_first_release_get_the_defaults_of_fields_that_came_later() -> None:
    orders = [text for contract, text in payloads(FIRST_RELEASE) if contract is PictureOrder]

    assert [PictureOrder.model_validate_json(text).alternatives for text in orders] == [0, 0]
    assert [name for text in orders for name in ("alternatives", "likely_usd") if name in text] == []


def order_with(fields: dict[str, Any], *, without: str = "") -> type[BaseModel]:
    """PictureOrder as a later release might have it."""
    kept: dict[str, Any] = {
        name: (field.annotation, field) for name, field in PictureOrder.model_fields.items() if name != without
    }
    return create_model("PictureOrder", __base__=Frozen, **kept, **fields)


@pytest.mark.parametrize("changed", [order_with({}, without="purchase"), order_with({"colour": (str, ...)})])
def test_a_field_that_was_dropped_or_that_came_without_a_default_is_caught(changed: type[BaseModel]) -> None:
    orders = [text for contract, text in payloads(FIRST_RELEASE) if contract is PictureOrder]

    with pytest.raises(ValidationError):
        changed.model_validate_json(orders[0])


def test_a_field_that_came_with_a_default_is_harmless() -> None:
    orders = [text for contract, text in payloads(FIRST_RELEASE) if contract is PictureOrder]
    changed = order_with({"colour": (str, "red")})

    assert changed.model_validate_json(orders[0]).model_dump()["colour"] == "red"
