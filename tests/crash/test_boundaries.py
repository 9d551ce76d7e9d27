"""Every effect has a name, and every name a scenario that leads there."""

from pathlib import Path

import pytest

from tests.crash.boundaries import ROOT, WORKED_BY, NotWrittenDown, all_boundaries, transaction_names
from tests.crash.reached_by import SCENARIO_THERE
from tests.crash.scenarios import all_scenarios
from tests.crash.unnamed_writes import unnamed_writes


def test_every_boundary_has_a_scenario_that_reaches_it() -> None:
    places = {boundary.place for boundary in all_boundaries()}

    assert places - SCENARIO_THERE.keys() == set()


def test_the_table_names_only_boundaries_and_scenarios_that_there_are() -> None:
    places = {boundary.place for boundary in all_boundaries()}

    assert SCENARIO_THERE.keys() - places == set()
    assert set(SCENARIO_THERE.values()) - all_scenarios("http://127.0.0.1/me.png").keys() == set()


@pytest.mark.parametrize("package", WORKED_BY)
def test_every_transaction_that_changes_something_has_a_name(package: str) -> None:
    assert unnamed_writes(ROOT, package) == []


def test_a_transaction_that_writes_without_a_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "ledger.py").write_text("def settle(s): return s.exec(update(Spend))\ndef read(s): pass\n")
    (tmp_path / "activities").mkdir()
    body = "async with d.transaction() as s:\n    await {call}(s)\n"
    (tmp_path / "activities" / "good.py").write_text("from db import ledger\n" + body.format(call="ledger.read"))
    (tmp_path / "activities" / "bad.py").write_text("from db import ledger\n" + body.format(call="ledger.settle"))
    (tmp_path / "activities" / "worse.py").write_text("from db.ledger import settle\n" + body.format(call="settle"))

    found = [place.partition(":")[0] for place in unnamed_writes(tmp_path, "activities")]
    assert found == ["activities/bad.py", "activities/worse.py"]


def test_a_name_that_is_put_together_at_run_time_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hidden.py"
    path.write_text("async with d.transaction(prefix + 'sent'): pass\n")

    with pytest.raises(NotWrittenDown):
        list(transaction_names(path))
