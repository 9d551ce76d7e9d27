"""Output files: public but unguessable addresses, gone an hour after the prediction's end."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.routing import BaseRoute, Route

from sandbox.answers import Answer, gateway_page
from sandbox.clock import SandboxClock
from sandbox.keys import Keys
from sandbox.pictures import corrupted
from sandbox.references import ReferenceStore
from sandbox.replicate.prediction_book import PredictionBook
from sandbox.replicate.predictions import Prediction
from sandbox.replicate.production import Production
from sandbox.wire import Call, Desk, Endpoint, Refusal

CHUNKS_PER_S: Final = 10
"""A slow download is sent in this many pieces a second."""
_NOT_FOUND: Final = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


class DeliveryDialect:
    """The delivery host knows no credentials and no rate limits."""

    provider = "replicate"

    def authorized(self, _headers: Mapping[str, str]) -> bool:
        """Everyone may download."""
        return True

    def unauthenticated(self, _headers: Mapping[str, str]) -> Answer:
        """403."""
        return Answer(403, b"Forbidden", "text/plain")

    def rate_wait_s(self, _operation: str) -> float:
        """Never."""
        return 0.0

    def rate_headers(self, _operation: str) -> dict[str, str]:
        """None."""
        return {}

    def rate_limited(self, retry_after_s: float) -> Answer:
        """429."""
        return Answer(429, b"Too many requests", "text/plain", {"retry-after": str(int(retry_after_s))})

    def low_credit(self, retry_after_s: float) -> Answer:
        """The same."""
        return self.rate_limited(retry_after_s)

    def insufficient_credit(self) -> Answer:
        """403."""
        return self.unauthenticated({})

    def model_gone(self) -> Answer:
        """It knows files only."""
        return _missing()

    def input_refused(self) -> Answer:
        """The same."""
        return _missing()

    def server_error(self, status: int) -> Answer:
        """A page of the network."""
        return gateway_page(status)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The handlers."""

    clock: SandboxClock
    keys: Keys
    book: PredictionBook
    production: Production
    references: ReferenceStore

    async def read(self, call: Call) -> str:
        """Find the prediction whose file is asked for; its prompt."""
        prediction = self.book.get(call.path["id"])
        if prediction is None or call.path["secret"] != self.keys.address(prediction.id):
            raise Refusal(_missing())
        call.fields, call.job_id, call.directions = prediction, prediction.id, prediction.directions
        return prediction.raw_prompt

    async def output(self, call: Call) -> Answer:
        """GET /delivery/{secret}/{id}/out-{index}.{suffix}."""
        prediction: Prediction = call.fields
        index = _index(call.path["file"])
        ready = prediction.phase(call.now).status == "succeeded" and not prediction.expired(call.now)
        if not ready or index >= prediction.plan.count or prediction.fate.empty or call.fault("delivery_404"):
            return _missing()
        picture = self.production.picture(prediction, index, half_size=call.fault("wrong_size") is not None)
        if picture is None:
            return _missing()
        if call.fault("corrupt_image"):
            picture = corrupted(picture)
        answer = Answer(
            200, picture, f"image/{prediction.plan.output_format}", {"cache-control": "public, max-age=3600"}
        )
        if fault := call.fault("cut_download"):
            answer.cut_after = int(fault.number("after_bytes", len(picture) // 2))
        elif fault := call.fault("slow_download"):
            answer.chunks = self._slowly(picture, fault.number("bytes_per_s", 1024))
        return answer

    async def input(self, call: Call) -> Answer:
        """GET /delivery/inputs/{sha256}: an input picture that came as a data URI."""
        content = self.references.kept(call.path["name"]) if call.path["name"].isalnum() else None
        return Answer(200, content, "application/octet-stream") if content is not None else _missing()

    async def _slowly(self, picture: bytes, bytes_per_s: float) -> AsyncIterator[bytes]:
        step = max(1, int(bytes_per_s / CHUNKS_PER_S))
        for start in range(0, len(picture), step):
            yield picture[start : start + step]
            await self.clock.sleep(step / bytes_per_s)


def delivery_routes(desk: Desk, delivery: Delivery) -> Sequence[BaseRoute]:
    """The routes."""
    dialect = DeliveryDialect()
    output = Endpoint(desk, dialect, "delivery", delivery.output, delivery.read)
    return [
        Route("/delivery/inputs/{name}", Endpoint(desk, dialect, "other", delivery.input), methods=["GET"]),
        Route("/delivery/{secret}/{id}/{file}", output, methods=["GET"]),
    ]


def _missing() -> Answer:
    return Answer(404, _NOT_FOUND, "application/xml")


def _index(file: str) -> int:
    number = file.removeprefix("out-").partition(".")[0]
    if not number.isdecimal():
        raise Refusal(_missing())
    return int(number)
