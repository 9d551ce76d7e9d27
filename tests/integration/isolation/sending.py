"""Requests to any door, and their answers in a form in which two of them can be compared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.integration.isolation.belongings import Belongings
from tests.integration.isolation.known_ways import BODIES, IN_PATHS, THINGS, Target, The
from tests.integration.isolation.surface import WEBSOCKET, Door, Place
from tests.integration.patience import HTTP_S

# Of an answer to one request only; what is left of a budget goes down with each.
ITS_OWN: Final = {
    "x-budget-left-usd",
    "date",
    "x-request-id",
    "content-length",
    "ratelimit-remaining",
    "ratelimit-reset",
    "connection",
}
# What differs between two answers to the same request: ids, times, secrets, and the length of the queue.
VOLATILE: Final = (
    (re.compile(r'"request_id":"[^"]*"'), '"request_id":""'),
    (re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"), "<time>"),
    (re.compile(r"(dio|whsec)_[\w+/=-]+"), "<secret>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b"), "<hex>"),
    (re.compile(r'"queue_position":\d+'), '"queue_position":<n>'),
)


@dataclass(frozen=True)
class Sent:
    """A request as it went out."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def text(self) -> str:
        """All that it said."""
        return f"{self.path} {dict(self.headers)} {self.body}"


@dataclass(frozen=True)
class Answer:
    """What came back: `text` is everything, `alike` what must be the same for two ids that are nobody's."""

    status: int
    text: str
    alike: tuple[int, tuple[tuple[str, str], ...], str]


def request_of(target: Target, value: str, own: Belongings) -> Sent:
    """The request that names `value`, and otherwise what is the sender's own."""
    place = target.place
    names = re.findall(r"{(\w+)}", target.door.path)
    values = {name: IN_PATHS[name] if name in IN_PATHS else own.things[THINGS[name]][0] for name in names}
    if place.where == "path":
        values[place.name] = value
    path = re.sub(r"{(\w+)}", lambda found: quote(values[found[1]], safe=""), target.door.path)
    if place.where == "query" and place.name:
        path += f"?{place.name}={quote(value, safe='')}"
    headers = {place.name: value} if place.where == "header" else {}
    in_body = value if place.where == "body" else None
    body = None if target.body is None else _Filling(own, in_body, target.number).filled(target.body)
    return Sent(target.door.method, path, headers, body)


def whole_request(door: Door, own: Belongings) -> Sent:
    """A request that names nothing but what is the sender's own."""
    bodies = BODIES.get(str(door))
    body = bodies[0] if bodies else {} if door.takes_body else None
    return request_of(Target(door, Place("query", ""), "", body), "", own)


class _Filling:
    """Puts ids where a body has The(...): the attack's own into one of the places, the sender's into all others."""

    def __init__(self, own: Belongings, value: str | None, number: int) -> None:
        self._own = own
        self._value = value
        self._left = number

    def filled(self, part: Any) -> Any:
        if isinstance(part, The):
            self._left -= 1
            is_meant = self._left == -1 and self._value is not None
            return self._value if is_meant else self._own.things[part.thing][0]
        if isinstance(part, Mapping):
            return {name: self.filled(value) for name, value in part.items()}
        if isinstance(part, list):
            return [self.filled(value) for value in part]
        return part


async def send(client: httpx.AsyncClient, sent: Sent, *, named: str = "") -> Answer:
    """The answer; every mention of what was `named` is made the same."""
    if sent.method == WEBSOCKET:
        return await _by_websocket(client, sent, named)
    given = {} if sent.body is None else {"json": sent.body}
    answer = await client.request(sent.method, sent.path, headers=dict(sent.headers), **given)
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in ITS_OWN)
    shown = tuple((name, plain(value, named)) for name, value in headers)
    whole = f"{answer.text} {dict(answer.headers)}"
    return Answer(answer.status_code, whole, (answer.status_code, shown, plain(answer.text, named)))


async def _by_websocket(client: httpx.AsyncClient, sent: Sent, named: str) -> Answer:
    """All messages until the server hangs up, and how it did."""
    url = str(client.base_url.join(sent.path)).replace("http:", "ws:")
    heard: list[str] = []
    authorization = {"Authorization": client.headers["Authorization"]}
    async with connect(url, additional_headers=authorization, open_timeout=HTTP_S) as socket:
        try:
            while True:
                heard.append(str(await socket.recv()))
        except ConnectionClosed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
    text = "\n".join([*heard, reason])
    return Answer(code, text, (code, (), plain(text, named)))


def plain(text: str, named: str) -> str:
    """Without what is the request's own, and without what differs each time."""
    for spelled in {named, quote(named, safe=""), named.lower()} - {""}:
        text = text.replace(spelled, "<named>")
    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    return text
