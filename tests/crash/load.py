"""The mixed load: clients that play scenarios, at random and on demand."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.crash.asked import Memory
from tests.crash.customer import Customer
from tests.crash.doors import Doors
from tests.crash.patient_http import NeverAnswered, PatientHttp
from tests.crash.scenarios import Scenario


class Load:
    """Plays scenarios; `luck` makes a run repeatable as far as the clients go."""

    def __init__(
        self,
        api: PatientHttp,
        doors: Doors,
        memory: Memory,
        scenarios: Mapping[str, Scenario],
        luck: random.Random,
    ) -> None:
        self._api = api
        self._doors = doors
        self._memory = memory
        self.scenarios = scenarios
        self._luck = luck
        self._plays: set[asyncio.Task[None]] = set()
        self._played = 0

    @property
    def playing(self) -> int:
        """How many plays are under way."""
        return len(self._plays)

    def play(self, name: str) -> None:
        """Begin one scenario now."""
        self._played += 1
        scenario, luck = self.scenarios[name], random.Random(self._luck.random())
        # Faults count how often they struck by the words of a prompt: no two runs may share any.
        words = f"{name}-{self._played}-{secrets.token_hex(3)}".replace("_", "-")
        task = asyncio.create_task(self._play(scenario, words, luck))
        self._plays.add(task)
        task.add_done_callback(self._plays.discard)

    @asynccontextmanager
    async def flowing(self, at_once: int, pause_s: float = 0.15) -> AsyncIterator[None]:
        """Keep up to `at_once` random plays under way until the block ends; those that have begun go on."""
        drawing = asyncio.create_task(self._draw(at_once, pause_s))
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)

    async def ended(self, within_s: float) -> None:
        """Wait until all that has begun was seen to its end; clients that see none in that time go away."""
        if self._plays:
            await asyncio.wait(self._plays, timeout=within_s)
        await self.abandon()

    async def abandon(self) -> None:
        """All clients go away at once."""
        for play in self._plays:
            play.cancel()
        await asyncio.gather(*self._plays, return_exceptions=True)

    async def _draw(self, at_once: int, pause_s: float) -> None:
        names = list(self.scenarios)
        weights = [self.scenarios[name].weight for name in names]
        while True:
            if len(self._plays) < at_once:
                self.play(self._luck.choices(names, weights)[0])
            await asyncio.sleep(pause_s)

    async def _play(self, scenario: Scenario, name: str, luck: random.Random) -> None:
        customer = Customer(self._api, self._doors, self._memory, scenario.name, luck)
        try:
            await scenario.manner(customer, scenario.request, name)
        except NeverAnswered as nothing:
            self._memory.strange.append(f"{scenario.name}: no answer to {nothing}")
        except Exception as trouble:  # noqa: BLE001 - one client that fails must not end the load, nor be overlooked
            self._memory.strange.append(f"{scenario.name}: its client failed: {trouble!r}")
        finally:
            await customer.leave()
