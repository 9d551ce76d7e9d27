"""Record histories: `python -m tests.replay.record` those of outcomes that have none, `... LABEL` one more of an outcome.

One more is recorded in the release that changes what the workflow does in this outcome. Those of earlier releases stay: as long
as they replay, runs that began under these releases can go on.
"""

import asyncio
import sys

from tests.replay import deliveries, erasures, generations, operations, sessions
from tests.replay.recording import Outcome, record, recordings

# A workflow has its outcomes in one of these modules; a new module is added here.
OUTCOMES: dict[str, Outcome] = {
    **generations.OUTCOMES,
    **sessions.OUTCOMES,
    **erasures.OUTCOMES,
    **deliveries.OUTCOMES,
    **operations.OUTCOMES,
}


async def main(labels: list[str]) -> None:
    """Record these outcomes, or all that have no history yet."""
    for label in labels or [label for label in OUTCOMES if not recordings(label)]:
        file = await record(label, OUTCOMES[label])
        print(file.name)  # noqa: T201 - a tool for people


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
