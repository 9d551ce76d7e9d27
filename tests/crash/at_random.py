"""Kills of any process at any moment, some of them while it still starts, some with an outage of seconds behind them."""

import asyncio

from tests.crash.exhaustive import Tell
from tests.crash.lab import Lab

# Ours are killed more often than the servers: they have more to lose.
WEIGHTS = {"worker": 18, "second-worker": 17, "api": 25, "postgres": 12, "temporal": 10, "store": 9, "sandbox": 9}
MEAN_PAUSE_S = 1.2
KILLED_WHILE_IT_STARTS = 0.15  # of the times at which it is found starting
OUTAGES_S = (0.0, 0.0, 0.0, 1.0, 4.0)


async def kill_at_random(lab: Lab, kills: int, tell: Tell) -> dict[str, int]:
    """Kill so many processes, one after another; returns how often each was hit."""
    hits = dict.fromkeys(WEIGHTS, 0)
    luck = lab.luck
    while sum(hits.values()) < kills:
        await asyncio.sleep(min(luck.expovariate(1 / MEAN_PAUSE_S), 4 * MEAN_PAUSE_S))
        service = luck.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if not lab.keeper.serves(service) and luck.random() > KILLED_WHILE_IT_STARTS:
            continue
        if lab.keeper.kill(service, outage_s=luck.choice(OUTAGES_S) * luck.random()):
            hits[service] += 1
            tell(1)
    return hits
