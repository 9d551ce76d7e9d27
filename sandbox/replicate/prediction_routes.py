"""POST, GET, cancel and list of predictions."""

import asyncio
import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from sandbox.answers import Answer, json_answer
from sandbox.clock import SandboxClock, from_iso
from sandbox.faults import read_directions
from sandbox.json_text import decode
from sandbox.replicate.errors import not_found, problem, validation_failed
from sandbox.replicate.intake import Intake
from sandbox.replicate.prediction_book import BadCursor, PredictionBook
from sandbox.replicate.predictions import Prediction
from sandbox.replicate.production import Production
from sandbox.replicate.rendering import Output, PredictionRenderer
from sandbox.settings import Settings
from sandbox.wire import Call, Refusal

_PREFER: Final = re.compile(r"wait(?:=(\d+))?")
LONGEST_WAIT_S: Final = 60
PENDING_POLL_S: Final = 0.05
"""How often a waiting create looks whether unfinished work is done; no event tells it."""


@dataclass(frozen=True, slots=True)
class PredictionRoutes:
    """The handlers. `api_url` is the address up to, not including, /v1."""

    api_url: str
    clock: SandboxClock
    settings: Settings
    intake: Intake
    book: PredictionBook
    production: Production
    renderer: PredictionRenderer

    async def read_create(self, call: Call) -> str:
        """Decode the body of a create; its prompt."""
        try:
            call.fields = decode(call.body)
        except ValueError as error:
            raise Refusal(problem(400, f"Request body is not valid JSON: {error}", "Bad Request")) from error
        values = call.fields.get("input") if isinstance(call.fields, dict) else None
        prompt = str(values.get("prompt", "")) if isinstance(values, dict) else ""
        call.directions = read_directions(prompt)
        return prompt

    async def read_prediction(self, call: Call) -> str:
        """Find the prediction of a GET or cancel; its prompt."""
        prediction = self.book.get(call.path["id"])
        if prediction is None:
            raise Refusal(not_found())
        call.fields, call.job_id, call.directions = prediction, prediction.id, prediction.directions
        return prediction.raw_prompt

    async def create_by_version(self, call: Call) -> Answer:
        """POST /v1/predictions."""
        model = self.intake.versioned_model(call.fields)
        return await self._accept(call, self.intake.prediction(call, model))

    async def create_by_model(self, call: Call) -> Answer:
        """POST /v1/models/{owner}/{name}/predictions."""
        model = self.intake.official_model(f"{call.path['owner']}/{call.path['name']}", call.fields)
        return await self._accept(call, self.intake.prediction(call, model))

    async def create_by_deployment(self, call: Call) -> Answer:
        """POST /v1/deployments/{owner}/{name}/predictions."""
        deployment = f"{call.path['owner']}/{call.path['name']}"
        model = self.intake.deployed_model(deployment, call.fields)
        return await self._accept(call, self.intake.prediction(call, model, deployment))

    async def get(self, call: Call) -> Answer:
        """GET /v1/predictions/{id}."""
        return json_answer(self.renderer.full(call.fields, call.now))

    async def cancel(self, call: Call) -> Answer:
        """POST /v1/predictions/{id}/cancel; a final prediction stays as it is."""
        self.book.cancel(call.fields, call.now)
        return json_answer(self.renderer.full(call.fields, call.now))

    async def list(self, call: Call) -> Answer:
        """GET /v1/predictions, newest first."""
        query = dict(call.request.query_params)
        try:
            page = self.book.page(query.get("cursor"), _filter(query))
        except (BadCursor, ValueError) as error:
            raise Refusal(validation_failed(f"- query: {error}\n")) from error
        return json_answer(
            {
                "next": self._page_url(query, page.next_cursor),
                "previous": self._page_url(query, page.previous_cursor),
                "results": [self.renderer.full(prediction, call.now) for prediction in page.predictions],
            }
        )

    async def _accept(self, call: Call, prediction: Prediction) -> Answer:
        preference = call.request.headers.get("prefer")
        wait_s, applied = _wait(preference)
        self.book.create(prediction)
        call.job_id = prediction.id
        if not wait_s:
            return json_answer(self.renderer.created(prediction), 201)
        await self._wait_for_end(prediction, wait_s)
        headers = {"Preference-Applied": applied}
        now = self.clock.now()
        if not prediction.phase(now).is_final:
            return json_answer(self.renderer.created(prediction), 202, headers)
        output = self._waited_output(prediction, now)
        return json_answer(self.renderer.waited(prediction, now, output), 201, headers)

    async def _wait_for_end(self, prediction: Prediction, wait_s: float) -> None:
        until = self.clock.now() + wait_s
        while not prediction.phase(now := self.clock.now()).is_final and now < until:
            end = prediction.ends_at()
            if prediction.work_done_at is None:
                await asyncio.sleep(PENDING_POLL_S)
            else:
                await self.clock.sleep_until(min(until, end))

    def _waited_output(self, prediction: Prediction, now: float) -> Output:
        output = self.renderer.output(prediction, prediction.phase(now))
        if not output or not self.settings.sync_data_uris:
            return output
        uris = [self._data_uri(prediction, index) for index in range(prediction.plan.count)]
        return uris[0] if prediction.plan.single else uris

    def _data_uri(self, prediction: Prediction, index: int) -> str:
        picture = self.production.picture(prediction, index) or b""
        return f"data:image/{prediction.plan.output_format};base64,{base64.b64encode(picture).decode()}"

    def _page_url(self, query: dict[str, str], cursor: str | None) -> str | None:
        if cursor is None:
            return None
        return f"{self.api_url}/v1/predictions?{urlencode({**query, 'cursor': cursor})}"


def _wait(preference: str | None) -> tuple[float, str]:
    """Seconds to hold a create, and the preference as it is confirmed; 0 for a create that does not wait."""
    match = _PREFER.search(preference or "")
    if not match:
        return 0.0, ""
    seconds = min(max(int(match[1] or LONGEST_WAIT_S), 1), LONGEST_WAIT_S)
    return float(seconds), f"wait={seconds}" if match[1] else "wait"


def _filter(query: dict[str, str]) -> Callable[[Prediction], bool]:
    after = from_iso(query["created_after"]) if "created_after" in query else float("-inf")
    before = from_iso(query["created_before"]) if "created_before" in query else float("inf")
    # Nothing here is made on the web page.
    wanted = query.get("source") != "web"
    return lambda prediction: wanted and after <= prediction.created_at < before
