"""Running directions on a tree with a bug in it, or on the tree as it is: same servers, another API and worker."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import LocalStack
from tests.crash.audit import audit
from tests.crash.breach import Breach
from tests.crash.crew import STACK_SERVICES, Crew
from tests.crash.directions import Direction
from tests.crash.evidence import gather_evidence
from tests.crash.journal import LabJournal
from tests.crash.lab import Visitors, lab_on, lab_options, welcomed
from tests.crash.mutations import Mutation
from tests.crash.points import ArmedPoints
from tests.crash.settling import settle
from tests.crash.trees import copied_tree

# The reconciler would mend what a bug leaves astray: here nobody helps.
NEVER_S = 3600
ENDS_WITHIN_S, SETTLES_WITHIN_S = 120.0, 20.0


@dataclass(slots=True)
class Ground:
    """Servers that serve one run after another; each run has a tree, a tenant and an audit of its own."""

    root: Path
    points: ArmedPoints
    visitors: Visitors
    servers: LocalStack
    _runs: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def breaches(self, directions: Sequence[Direction], mutation: Mutation | None = None) -> list[Breach]:
        """What the audit finds after these directions."""
        folder = self.root / f"run-{next(self._runs)}"
        crew = Crew(self.servers, copied_tree(folder / "tree", mutation), folder / "logs")
        journal = LabJournal(folder / "journal.txt")
        async with crew.serving(), lab_on(crew, self.points, self.visitors, journal, seed=1) as lab:
            for direction in directions:
                await direction(lab)
            await lab.load.ended(ENDS_WITHIN_S)
            await settle(lab, within_s=SETTLES_WITHIN_S, reconciler=False)
            evidence = await gather_evidence(lab.doors, lab.memory)
            return audit(evidence, lab.load.scenarios, outages=False)


@asynccontextmanager
async def ground(root: Path) -> AsyncIterator[Ground]:
    """The servers, ended with the block."""
    async with AsyncExitStack() as stack:
        visitors = await stack.enter_async_context(welcomed())
        points = ArmedPoints(root / "points")
        options = lab_options(points.folder, visitors, reconcile_every_s=NEVER_S)
        servers = LocalStack(root / "stack", services=STACK_SERVICES, options=options)
        await stack.enter_async_context(servers)
        yield Ground(root, points, visitors, servers)
