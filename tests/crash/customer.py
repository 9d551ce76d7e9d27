"""One client of the lab: asks, follows, changes its mind, and remembers everything."""

import asyncio
import random
import secrets

from contracts.statuses import Status
from tests.crash.asked import Asked, Followed, Json, Memory
from tests.crash.doors import Doors
from tests.crash.follower import follow
from tests.crash.looking import until
from tests.crash.patient_http import NO_ANSWER, PatientHttp, promise_in

FOLLOWS = 0.4  # of all requests
LOOK_EVERY_S = 0.7


class Customer:
    """Plays one scenario; `luck` decides what a scenario leaves open."""

    def __init__(self, api: PatientHttp, doors: Doors, memory: Memory, scenario: str, luck: random.Random) -> None:
        self.doors = doors
        self.luck = luck
        self._api = api
        self._memory = memory
        self._scenario = scenario
        self._following: list[asyncio.Task[None]] = []

    def intend(self, body: Json, path: str = "/v1/generations") -> Asked:
        """A request that is about to be sent, under a new key."""
        asked = Asked(self._scenario, f"lab-{secrets.token_hex(8)}", body, path=path)
        self._memory.asked.append(asked)
        return asked

    async def ask(self, asked: Asked) -> None:
        """Send the request until it is answered; sometimes follow what comes of it."""
        answer = await self._post(asked)
        if asked.answer is None:
            asked.answer = answer
        elif answer is not None and answer != asked.answer:
            self._memory.strange.append(f"key {asked.key} was answered twice, and not the same")
        if answer is not None and self.luck.random() < FOLLOWS:
            self._follow(asked)

    async def upload(self, picture: bytes) -> str | None:
        """Bring a picture in, sent until it is answered; its asset id."""
        answer = await self._api.send("POST", "/v1/assets", content=picture, headers={"Content-Type": "image/png"})
        if answer.status_code != 201:
            self._memory.strange.append(f"an upload was answered {answer.status_code}: {answer.text[:300]}")
            return None
        return str(answer.json()["id"])

    async def hang_up(self, asked: Asked, after_s: float) -> None:
        """Send the request and go away before the answer comes."""
        try:
            async with asyncio.timeout(after_s):
                await self._api.http.post("/v1/generations", json=asked.body, headers={"Idempotency-Key": asked.key})
        except (TimeoutError, *NO_ANSWER):
            return

    async def cancel(self, asked: Asked) -> None:
        """Ask to stop; it may have ended by now."""
        asked.canceled = True
        await self._api.send("POST", f"/v1/generations/{asked.generation_id}/cancel")

    async def delete_session(self, session_id: str, *asked: Asked) -> None:
        """Delete the session that these requests belong to."""
        for one in asked:
            one.session_deleted = True
        await self._api.send("DELETE", f"/v1/sessions/{session_id}")

    async def erase_user(self, user_id: str, asked: Asked) -> None:
        """Have the user whom this request was for forgotten, and wait for the receipt."""
        asked.erased = True
        _, erasure = await self.send("POST", "/v1/erasures", {"user_id": user_id})

        async def is_verified() -> bool:
            _, seen = await self.send("GET", f"/v1/erasures/{erasure['id']}")
            return seen["receipt"] is not None

        await until(is_verified, every_s=LOOK_EVERY_S, within_s=None)

    async def watch(self, asked: Asked) -> None:
        """Look until it has ended, as far as a client can see."""
        if asked.answer is None:
            return
        every_s = LOOK_EVERY_S * self.luck.uniform(0.7, 1.3)
        await until(lambda: self._has_ended(asked), every_s=every_s, within_s=None)  # the load sends it away
        await asyncio.gather(*self._following)
        self._following = []

    async def send(
        self, method: str, path: str, json: Json | None = None, *, key: str = "", as_operator: bool = False
    ) -> tuple[int, Json]:
        """Any other request, sent until it is answered: the status, and the body (empty: it is no JSON object)."""
        headers = {"Idempotency-Key": key} if key else {}
        if as_operator:
            headers["Authorization"] = f"Bearer {self.doors.operator_key}"
        answer = await self._api.send(method, path, json=json, headers=headers)
        body: Json = answer.json() if answer.content else {}
        return answer.status_code, body

    async def fetch_as_operator(self, path: str) -> str:
        """What an operator gets there, asked for until it comes whole."""
        headers = {"Authorization": f"Bearer {self.doors.operator_key}"}
        return (await self._api.send("GET", path, headers=headers)).text

    async def post_as_operator(self, path: str, content: bytes, content_type: str) -> None:
        """Send a file as an operator, until it is answered."""
        headers = {"Authorization": f"Bearer {self.doors.operator_key}", "Content-Type": content_type}
        await self._api.send("POST", path, content=content, headers=headers)

    async def leave(self) -> None:
        """Stop following."""
        following, self._following = self._following, []
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    async def _post(self, asked: Asked) -> Json | None:
        answer = await self._api.send("POST", asked.path, json=asked.body, headers={"Idempotency-Key": asked.key})
        promised = promise_in(answer)
        if promised is None:
            self._memory.strange.append(f"{asked.scenario} was answered {answer.status_code}: {answer.text[:300]}")
        return promised

    async def _has_ended(self, asked: Asked) -> bool:
        answer = await self._api.send("GET", f"/v1/generations/{asked.generation_id}")
        return answer.status_code == 404 or Status(answer.json()["status"]).is_final

    def _follow(self, asked: Asked) -> None:
        followed = Followed()
        asked.followed.append(followed)
        following = follow(self._api.http, str(asked.generation_id), followed, random.Random(self.luck.random()))
        self._following.append(asyncio.create_task(following))
