"""Reading fault markers and counting their strikes."""

from pathlib import Path

import pytest

from sandbox.faults import FaultBoard, UnknownFault, read_directions
from sandbox.record_log import RecordLog


@pytest.fixture
def board(tmp_path: Path) -> FaultBoard:
    return FaultBoard(RecordLog(tmp_path / "state.jsonl"))


def test_markers_are_taken_out_of_the_prompt() -> None:
    directions = read_directions(
        "a lake [[sandbox fault=rate_limited retry_after=7 times=2]] at dusk [[sandbox duration=0.5 queue=1]]"
    )

    assert directions.prompt == "a lake at dusk"
    assert (directions.duration_s, directions.queue_s) == (0.5, 1.0)
    (fault,) = directions.faults
    assert (fault.name, fault.operation, fault.times, fault.number("retry_after", 9)) == (
        "rate_limited",
        "create",
        2,
        7.0,
    )


@pytest.mark.parametrize("prompt", ["a lake", "matrices [[1, 2], [3, 4]]", "[[wiki link]]"])
def test_a_prompt_without_markers_stays_as_it_is(prompt: str) -> None:
    assert read_directions(prompt).prompt == prompt
    assert read_directions(prompt).faults == ()


@pytest.mark.parametrize(
    "marker",
    ["fault=no_such", "fault=stuck operation=dance", "fault=stuck times=often", "duration=long", "colour=red"],
)
def test_a_marker_that_asks_for_what_is_not_there_is_an_error(marker: str) -> None:
    with pytest.raises(UnknownFault):
        read_directions(f"a lake [[sandbox {marker}]]")


def test_a_fault_with_times_is_used_up_per_prompt(board: FaultBoard) -> None:
    own = read_directions("[[sandbox fault=stuck times=1]]").faults

    strikes = [len(board.strike("replicate", "create", prompt, own)) for prompt in ("a", "a", "b")]

    assert strikes == [1, 0, 1]


def test_a_fault_strikes_only_its_own_operation_and_provider(board: FaultBoard) -> None:
    board.arm("delivery_404", {}, provider="replicate", match="lake")

    assert board.strike("replicate", "create", "a lake", ()) == ()
    assert board.strike("openai", "delivery", "a lake", ()) == ()
    assert board.strike("replicate", "delivery", "a hill", ()) == ()
    assert [fault.name for fault in board.strike("replicate", "delivery", "a lake", ())] == ["delivery_404"]
