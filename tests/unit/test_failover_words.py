"""Failovers in plain words."""

from decimal import Decimal

import pytest

from contracts.failover_words import failover_told
from contracts.pictures import Candidate
from contracts.wishes import Adjustment

LEFT = Candidate(provider="replicate", model="a", max_usd=Decimal(1), unknown_policy="resubmit")
SEED = Adjustment(parameter="seed", wanted="7", why="it has none")
OPEN = "The image provider fails at the moment (replicate), so getimg makes this picture now."
SIZE = Adjustment(parameter="size", wanted="1920x1080", given="1536x1024", why="it makes no larger one")


@pytest.mark.parametrize(
    ("code", "changes", "told"),
    [
        (
            "provider_busy",
            {"provider": "openai"},
            "The image provider is busy (replicate), so openai makes this picture now.",
        ),
        (
            "model_failed",
            {"model": "b"},
            "The model failed (replicate), so its model b makes this picture now.",
        ),
        (
            "circuit_open",
            {"provider": "getimg", "adjustments": (SEED, SIZE)},
            f"{OPEN} What will be different: seed is left out, size is 1536x1024.",
        ),
    ],
)
def test_a_failover_says_why_and_what_will_be_different(code: str, changes: dict[str, object], told: str) -> None:
    assert failover_told(code, LEFT, LEFT.model_copy(update=changes)) == told
