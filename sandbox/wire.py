"""One request on the wire: the pipeline that every provider endpoint shares.

Read the request, let the armed faults strike, check the credential and the rate limit, handle, answer (or drop), write the
journal.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from sandbox.answers import Answer
from sandbox.clock import SandboxClock
from sandbox.connections import drop_connection
from sandbox.faults import FAULT_HEADER, Directions, Fault, FaultBoard, UnknownFault, make_fault, read_words
from sandbox.journal import KEPT_HEADERS, Journal


@dataclass(slots=True)
class Call:
    """A request while it is handled. `fields` is the decoded body of endpoints that have one."""

    request: Request
    provider: str
    operation: str
    body: bytes
    now: float
    fields: Any = None
    job_id: str | None = None
    directions: Directions = field(default_factory=lambda: Directions(""))
    faults: tuple[Fault, ...] = ()

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters in the path."""
        params: Mapping[str, str] = self.request.path_params
        return params

    def fault(self, name: str) -> Fault | None:
        """The fault of this name, if it struck this request."""
        return next((fault for fault in self.faults if fault.name == name), None)


class Refusal(Exception):
    """Ends the handling of a request with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Dialect(Protocol):
    """How one provider says the things that all providers say."""

    provider: str

    def authorized(self, headers: Mapping[str, str]) -> bool:
        """Whether the request carries a good credential."""

    def unauthenticated(self, headers: Mapping[str, str]) -> Answer:
        """The answer to a request without a good credential."""

    def rate_wait_s(self, operation: str) -> float:
        """Take one request from the rate limit: 0.0, or the seconds to wait."""

    def rate_headers(self, operation: str) -> dict[str, str]:
        """Headers that tell of the rate limit."""

    def rate_limited(self, retry_after_s: float) -> Answer:
        """Too many requests."""

    def low_credit(self, retry_after_s: float) -> Answer:
        """Too many requests for an account with little credit."""

    def insufficient_credit(self) -> Answer:
        """The account has no money left."""

    def model_gone(self) -> Answer:
        """There is no such model (any more)."""

    def input_refused(self) -> Answer:
        """A parameter has a value that the model does not take."""

    def server_error(self, status: int) -> Answer:
        """The provider is broken."""


Handler = Callable[[Call], Awaitable[Answer]]
Reader = Callable[[Call], Awaitable[str]]
"""Decodes what a handler needs and returns the prompt that faults are matched against."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every endpoint needs."""

    clock: SandboxClock
    faults: FaultBoard
    journal: Journal


async def no_prompt(_: Call) -> str:
    """The reader of endpoints that have no prompt."""
    return ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An ASGI application for one operation of one provider."""

    desk: Desk
    dialect: Dialect
    operation: str
    handler: Handler
    reader: Reader = no_prompt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        began, erasures = time.perf_counter(), self.desk.journal.erasures
        request = Request(scope, receive)
        call = Call(request, self.dialect.provider, self.operation, await request.body(), self.desk.clock.now())
        reset = False
        try:
            answer: Answer | None = await self._answer(call)
        except Refusal as refusal:
            answer = refusal.answer
        except _Dropped as dropped:
            answer, reset = None, dropped.reset
        except UnknownFault as error:
            answer = Answer(400, f"{error}\n".encode(), "text/plain")
        if erasures == self.desk.journal.erasures:
            self._write_journal(call, answer, began)
        if answer is None:
            await drop_connection(scope, reset=reset)
            return
        answer.headers = {**self.dialect.rate_headers(self.operation), **answer.headers}
        await answer.send(scope, send)

    async def _answer(self, call: Call) -> Answer:
        headers = call.request.headers
        if not self.dialect.authorized(headers):
            return self.dialect.unauthenticated(headers)
        prompt = await self.reader(call)
        call.faults = self.desk.faults.strike(
            call.provider, call.operation, prompt, [*call.directions.faults, *_header_faults(call)]
        )
        if call.faults and (struck := self._strike_at_the_door(call)):
            return struck
        if wait_s := self.dialect.rate_wait_s(call.operation):
            return self.dialect.rate_limited(wait_s)
        answer = await self.handler(call)
        return await self._strike_on_the_way_out(call, answer) if call.faults else answer

    def _strike_at_the_door(self, call: Call) -> Answer | None:
        if call.fault("reset_before_accept"):
            raise _Dropped(reset=True)
        if call.fault("unauthenticated"):
            return self.dialect.unauthenticated({})
        if fault := call.fault("rate_limited"):
            return self.dialect.rate_limited(fault.number("retry_after", 9))
        if fault := call.fault("low_credit"):
            return self.dialect.low_credit(fault.number("retry_after", 9))
        if call.fault("insufficient_credit"):
            return self.dialect.insufficient_credit()
        if call.fault("model_gone"):
            return self.dialect.model_gone()
        if call.fault("input_refused"):
            return self.dialect.input_refused()
        if (fault := call.fault("server_error")) and fault.text("after", "") != "accept":
            return self.dialect.server_error(int(fault.number("status", 500)))
        return None

    async def _strike_on_the_way_out(self, call: Call, answer: Answer) -> Answer:
        if fault := call.fault("slow_answer"):
            await self.desk.clock.sleep(fault.number("seconds", 10))
        if call.fault("lost_response"):
            raise _Dropped(reset=False)
        if fault := call.fault("server_error"):
            return self.dialect.server_error(int(fault.number("status", 500)))
        return answer

    def _write_journal(self, call: Call, answer: Answer | None, began: float) -> None:
        request = call.request
        headers = {name: value for name, value in request.headers.items() if name in KEPT_HEADERS}
        self.desk.journal.write(
            {
                "at": call.now,
                "provider": call.provider,
                "operation": call.operation,
                "method": request.method,
                "path": request.url.path if request.scope.get("root_path") else request.scope["path"],
                "query": request.scope["query_string"].decode("latin-1"),
                "status": answer.status if answer else 0,
                "job_id": call.job_id,
                "faults": [fault.name for fault in call.faults],
                "headers": headers,
                "body_sha256": sha256(call.body).hexdigest() if call.body else None,
                "body_bytes": len(call.body),
                "took_ms": round((time.perf_counter() - began) * 1000, 2),
            }
        )


class _Dropped(Exception):
    """The request is to be dropped without an answer."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__(reset)
        self.reset = reset


def header_words(call: Call) -> str:
    """The fault header of a request, empty without one."""
    return call.request.headers.get(FAULT_HEADER, "")


def _header_faults(call: Call) -> Sequence[Fault]:
    words = header_words(call)
    if not words:
        return ()
    name, params = read_words(words)
    return (make_fault(name or "", params),)
