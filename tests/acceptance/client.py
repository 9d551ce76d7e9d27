"""A client of the public API for acceptance tests, and the audit that every test ends with."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
from sqlmodel import col, select

from contracts.statuses import AssetState, Billed, SpendState, Status
from db.engine import Database
from db.models import Asset, Event, Generation, Spend
from deploy.local import LocalStack
from storage.minio_storage import MinioStorage

Json = dict[str, Any]
# Of everything here that asks another process over a network, where how fast that is is not what is tested.
PATIENCE_S = 60.0
# Nobody waits for this: once a job has shown what it is there for, the providers' clock is moved on. Longer than all that
# happens meanwhile, however busy the machine is, and within the tolerance of webhooks for wrong clocks.
LONG_S = 150
LONG = f"[[sandbox duration={LONG_S}]]"
AVATAR = {"description": "a young explorer with short red hair, round glasses and a green scarf"}


def chain(*, avatar: str = "", scene: str = "", **options: Any) -> Json:
    """An avatar_scene; the texts go into the avatar's description and the scene's details."""
    described = AVATAR["description"] + avatar
    small = {"size": "native"}
    return {
        "kind": "avatar_scene",
        "avatar": {"description": described, **small},
        "scene": {"theme": "aurora-night", "details": scene, **small},
        **options,
    }


def only_avatar(marker: str = "", **options: Any) -> Json:
    return {"kind": "avatar", "avatar": {"description": AVATAR["description"] + marker, "size": "native"}, **options}


@dataclass
class Diorama:
    """The running stack as a client sees it, with side doors for the audit."""

    stack: LocalStack
    http: httpx.AsyncClient
    sandbox: httpx.AsyncClient
    database: Database
    storage: MinioStorage
    started: list[str] = field(default_factory=list)
    wound_s: float = 0

    async def post(self, body: Json, **headers: str) -> Json:
        keyed = {"Idempotency-Key": uuid4().hex} | headers
        response = await answered(lambda: self.http.post("/v1/generations", json=body, headers=keyed))
        assert response.status_code in {200, 202}, response.text
        answer: Json = response.json()
        self.started.append(answer["id"])
        return answer

    async def wind_sandbox(self, seconds: float = LONG_S) -> None:
        """Move the clock of the providers' stand-in, until the test is over."""
        (await self.sandbox.post("/admin/clock", json={"advance_s": seconds})).raise_for_status()
        self.wound_s += seconds

    async def wind_sandbox_back(self) -> None:
        """To our own time, exactly: bills and ledgers are matched by when things were sent."""
        if self.wound_s:
            await self.wind_sandbox(-self.wound_s)

    async def set_sandbox_right(self) -> None:
        """No faults and no limits there, short jobs and small pictures."""
        (await self.sandbox.delete("/admin/faults")).raise_for_status()
        await self.settings(creates_per_minute=None, reads_per_minute=None, duration_s=0.3, drawing="fast")

    async def get(self, generation_id: str) -> Json:
        response = await answered(lambda: self.http.get(f"/v1/generations/{generation_id}"))
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer

    async def cancel(self, generation_id: str) -> httpx.Response:
        return await answered(lambda: self.http.post(f"/v1/generations/{generation_id}/cancel"))

    async def ended(self, generation_id: str, *, within_s: float = 180) -> Json:
        look = self.until(
            lambda: self.get(generation_id), lambda seen: Status(seen["status"]).is_final, within_s=within_s
        )
        seen: Json = await look
        return seen

    async def until(
        self, look: Callable[[], Awaitable[Any]], good: Callable[[Any], bool], *, within_s: float = 120
    ) -> Any:
        """Look again and again until it is good. The state is what is waited for; the limit only ends a broken test."""
        seen: Any = None
        with explained(within_s, lambda: f"not what was waited for: {seen!r:.2000}"):
            async with asyncio.timeout(within_s):
                while True:
                    seen = await look()
                    if good(seen):
                        return seen
                    await asyncio.sleep(0.05)

    async def bought(self, generation_id: str, step: str = "avatar") -> None:
        """Wait until the provider has this picture's job. An event says so, which stays, where the stage may pass unseen."""

        async def steps() -> list[str]:
            async with self.database.transaction() as session:
                query = select(Event.data).where(
                    col(Event.generation_id) == generation_id, Event.type == "picture.submitted"
                )
                return [str(data["step"]) for data in (await session.exec(query)).all()]

        await self.until(steps, lambda told: step in told, within_s=150)

    async def bytes_of(self, picture: Json) -> bytes:
        response = await answered(lambda: self.http.get(picture["links"]["content"]))
        assert response.status_code == 200, response.text
        return response.content

    async def spends(self, generation_id: str) -> list[Spend]:
        async with self.database.transaction() as session:
            query = select(Spend).where(col(Spend.generation_id) == generation_id).order_by(col(Spend.id))
            return list((await session.exec(query)).all())

    async def charges(self, generation_id: str) -> list[Json]:
        """What the sandbox charges for this generation, found by the tokens of its spends."""
        tokens = {spend.token for spend in await self.spends(generation_id)}
        tokens |= {hashlib.sha256(token.encode()).hexdigest() for token in tokens}  # as OpenAI is told it
        rows = (await self.sandbox.get("/admin/charges")).json()
        return [row for row in rows if row["correlation"] in tokens or _names(row, tokens)]

    async def fault(self, name: str, **form: Any) -> None:
        (await self.sandbox.post("/admin/faults", json={"fault": name, **form})).raise_for_status()

    async def settings(self, **settings: Any) -> None:
        (await self.sandbox.post("/admin/settings", json=settings)).raise_for_status()

    async def audit(self) -> None:
        """Everything that was started is accounted for: rows, objects, money, events."""
        for generation_id in self.started:
            async with self.database.transaction() as session:
                generation = await session.get(Generation, generation_id)
                events = (await session.exec(select(Event.seq).where(col(Event.generation_id) == generation_id))).all()
                assets = (await session.exec(select(Asset).where(col(Asset.generation_id) == generation_id))).all()
            assert generation is not None
            assert generation.status.is_final, generation.status
            assert sorted(events) == list(range(1, generation.event_seq + 1))
            await self._audit_objects(generation, list(assets))
            await self._audit_money(generation)

    async def _audit_objects(self, generation: Generation, assets: list[Asset]) -> None:
        prefix = f"{generation.tenant_id}/{generation.id}/"
        objects = {found.key async for found in self.storage.list_prefix(prefix)}
        stored = {asset.key for asset in assets if asset.state is AssetState.stored}
        assert objects == stored
        assert {asset.state for asset in assets} <= {AssetState.stored, AssetState.deleted}
        if generation.status is not Status.succeeded:
            assert objects == set(), "nothing may be left of a generation that did not succeed"

    async def _audit_money(self, generation: Generation) -> None:
        spends = await self.spends(str(generation.id))
        assert {spend.state for spend in spends} <= {SpendState.settled, SpendState.released}
        charges = Counter(row["correlation"] for row in await self.charges(str(generation.id)))
        assert all(count == 1 for count in charges.values()), f"charged more than once: {charges}"
        assert generation.hold_usd == 0 or generation.status is Status.needs_review, "nothing is held after the end"
        billed = [spend for spend in spends if spend.billed is not Billed.no]
        assert len(charges) <= len(spends)
        assert generation.cost_usd == sum((spend.cost_usd or Decimal(0) for spend in billed), Decimal(0))


async def answered(send: Callable[[], Awaitable[httpx.Response]], *, within_s: float = 120) -> httpx.Response:
    """As a client does that is told to come again: the first answer that is no 503, each time after Retry-After."""
    told = ""
    with explained(within_s, lambda: f"always told to come again: {told}"):
        async with asyncio.timeout(within_s):
            while (response := await send()).status_code == 503:
                told = response.text
                await asyncio.sleep(float(response.headers["retry-after"]))
            return response


@contextmanager
def explained(within_s: float, trouble: Callable[[], str]) -> Iterator[None]:
    """A time-out says what went on instead."""
    try:
        yield
    except TimeoutError as error:
        raise TimeoutError(f"for {within_s:g} s {trouble()}") from error


def _names(row: Json, tokens: set[str]) -> bool:
    return any(token in str(row.get("webhook")) or token in str(row.get("user_id")) for token in tokens)
