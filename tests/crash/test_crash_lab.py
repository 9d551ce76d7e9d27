"""The lab's short run: a kill at every named boundary, some at random, some pauses; and nothing is lost or bought twice."""

from pathlib import Path

import pytest

from tests.crash.boundaries import all_boundaries
from tests.crash.campaign import Plan, campaign
from tests.crash.report import figures, lines

KILLS = 15
PAUSES = 2
# Six to eight minutes on two cores that nobody else uses.
TIMEOUT_S = 1500


@pytest.mark.timeout(TIMEOUT_S)
async def test_whatever_dies_wherever_everything_is_accounted_for(tmp_path: Path) -> None:
    plan = Plan(seed=20261121, boundaries=all_boundaries(), kills=KILLS, pauses=PAUSES)

    outcome = await campaign(tmp_path, plan, lambda _phase, _count: lambda _steps: None)

    told = "\n".join(lines(outcome))
    assert outcome.breaches == [], told
    assert [*outcome.done.missed] == [], told
    assert figures(outcome)["boundaries_killed"] == len(plan.boundaries)
    assert figures(outcome)["generations"] > len(plan.boundaries) / 2, told
