"""A closed loop: so many callers, each begins its next chain when its last one has ended."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class ChainRun:
    """One chain as its caller saw it: its name, its seconds, and the provider's job ids where the caller knows them."""

    name: str
    seconds: float
    job_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoopRun:
    """All chains of a loop. `failures` are the words of those that ended badly; `wall_s` is from first start to last end."""

    began_at: datetime
    chains: tuple[ChainRun, ...]
    failures: tuple[str, ...]
    wall_s: float

    @property
    def per_second(self) -> float:
        """Chains that ended well, per second."""
        return len(self.chains) / self.wall_s if self.wall_s else 0.0


OneChain = Callable[[int], Awaitable[ChainRun]]


async def closed_loop(one_chain: OneChain, *, count: int, at_once: int, spread_s: float = 0) -> LoopRun:
    """Run `count` chains, `at_once` at a time. A chain that raises is counted as a failure and does not stop the others.

    The callers begin evenly spread over `spread_s` seconds: people do not ask in step, and callers in step would stay so
    for as long as their chains take the same time.
    """
    numbers = iter(range(count))
    chains: list[ChainRun] = []
    failures: list[str] = []

    async def call_on(caller: int) -> None:
        await asyncio.sleep(caller * spread_s / at_once)
        for number in numbers:
            try:
                chains.append(await one_chain(number))
            except Exception as error:  # noqa: BLE001 - whatever it was: this chain is lost, and the report says so
                failures.append(f"{type(error).__name__}: {error}"[:300])

    began_at, began = datetime.now(UTC), time.perf_counter()
    await asyncio.gather(*(call_on(caller) for caller in range(min(count, at_once))))
    return LoopRun(began_at, tuple(chains), tuple(failures), time.perf_counter() - began)
