"""Running directions on a tree with a bug in it, or on the tree as it is: same servers, and as far as they can have the bug
another API and worker."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import LocalStack
from tests.crash.audit import audit
from tests.crash.breach import Breach
from tests.crash.crew import OURS, STACK_SERVICES, Crew
from tests.crash.directions import NEED_BOTH_WORKERS, Direction
from tests.crash.evidence import gather_evidence
from tests.crash.haste import HASTE, HEARTBEAT_S
from tests.crash.journal import LabJournal
from tests.crash.lab import Visitors, lab_on, lab_options, welcomed
from tests.crash.mutations import Mutation
from tests.crash.points import ArmedPoints
from tests.crash.settling import settle
from tests.crash.trees import copied_tree
from tests.nursery import nursery

# The reconciler would mend what a bug leaves astray: here nobody helps.
NEVER_S = 3600
ENDS_WITHIN_S = 120.0
# A delivery whose worker died in mid-POST is repeated after half a minute. What a bug leaves astray never comes to rest.
SETTLES_WITHIN_S, SETTLES_WITH_A_BUG_WITHIN_S = 120.0, 20.0


@dataclass(slots=True)
class Ground:
    """Servers that serve one run after another; each run has a tenant and an audit of its own.

    A bug's tree is run by those programs that can have it; the others go on from `tree`, which is as it should be.
    """

    root: Path
    tree: Path
    points: ArmedPoints
    visitors: Visitors
    crew: Crew
    _runs: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def breaches(self, directions: Sequence[Direction], mutation: Mutation | None = None) -> list[Breach]:
        """What the audit finds after these directions."""
        folder = self.root / f"run-{next(self._runs)}"
        journal = LabJournal(folder / "journal.txt")
        await self.crew.run(self._trees(folder / "tree", directions, mutation))
        async with lab_on(self.crew, self.points, self.visitors, journal, seed=1) as lab:
            for direction in directions:
                await direction(lab)
            await lab.load.ended(ENDS_WITHIN_S)
            within_s = SETTLES_WITHIN_S if mutation is None else SETTLES_WITH_A_BUG_WITHIN_S
            await settle(lab, within_s=within_s, reconciler=False)
            evidence = await gather_evidence(lab.doors, lab.memory)
            return audit(evidence, lab.load.scenarios, outages=False)

    def _trees(self, fresh: Path, directions: Sequence[Direction], mutation: Mutation | None) -> dict[str, Path]:
        names = OURS if NEED_BOTH_WORKERS.intersection(directions) else OURS[:2]
        if mutation is None:
            return dict.fromkeys(names, self.tree)
        planted = copied_tree(fresh, [mutation.change], of=self.tree)
        return {name: planted if name in mutation.programs else self.tree for name in names}


@asynccontextmanager
async def ground(root: Path) -> AsyncIterator[Ground]:
    """The servers, ended with the block."""
    async with AsyncExitStack() as stack:
        visitors = await stack.enter_async_context(welcomed())
        points = ArmedPoints(root / "points")
        options = lab_options(points.folder, visitors, reconcile_every_s=NEVER_S, heartbeat_s=HEARTBEAT_S)
        servers = LocalStack(root / "stack", services=STACK_SERVICES, options=options)
        await stack.enter_async_context(servers)
        crew = Crew(servers, await stack.enter_async_context(nursery(servers.root)), root / "logs")
        stack.push_async_callback(crew.end)
        yield Ground(root, copied_tree(root / "tree", HASTE), points, visitors, crew)
