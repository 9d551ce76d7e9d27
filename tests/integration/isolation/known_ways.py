"""How each route can be attacked. A route that is not covered by these tables fails the tests with a sentence about what to add."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from providers.catalog import Catalog
from tests.integration.api.running_api import png
from tests.integration.isolation.surface import Door, Place

HERE: Final = "tests/integration/isolation/known_ways.py"


class UnknownWay(Exception):
    """A route with something that nobody said how to attack; the words say what to add."""


@dataclass(frozen=True)
class The:
    """In a body: the id of one of the sender's own things, or in an attack that of somebody else's."""

    thing: str


# What is named by a path parameter, a query parameter, a header or a field of a body -> the thing of a tenant that it names.
THINGS: Final[Mapping[str, str]] = {
    "generation_id": "generation",
    "generation": "generation",
    "asset_id": "asset",
    "avatar_asset_id": "asset",
    "image_asset_id": "asset",
    "image_asset_ids": "asset",
    "session_id": "session",
    "session": "session",
    "user_id": "user",
    "user": "user",
    "tag": "tag",
    "tags": "tag",
    "idempotency-key": "idempotency key",
    "tenant_id": "tenant",
    "tenant": "tenant",
    "key_id": "key",
    "actor": "actor",
    "subject_id": "subject",
    "owner": "owner",
    "spend_id": "spend",
    "token": "token",
    "endpoint_id": "endpoint",
    "delivery_id": "delivery",
    "budget_id": "budget",
    "quote_id": "quote",
    "erasure_id": "erasure",
    "cursor": "cursor",
}
# What names nothing of a tenant. In the path of a request each has the value that is given here.
MODEL: Final = next(one for one in Catalog.load().models if one.provider == "replicate" and "/" in one.model)
IN_PATHS: Final[Mapping[str, str]] = {
    "provider": MODEL.provider,
    "model": MODEL.model,
    "name": MODEL.provider,
    "action": "pause",
}
PLAIN: Final = frozenset(
    {
        *(
            "action",
            "created_after",
            "created_before",
            "ended",
            "kind",
            "limit",
            "model",
            "provider",
            "state",
            "status",
        ),
        *("columns", "format", "from", "group_by", "to"),
        *("subject", "if-none-match", "if-range", "last-event-id", "last_event_id", "prefer", "range"),
        "job_id",  # a provider's word, which operators alone may use
        "force_model",
    }
)
# What looks like an id in a body, beside the fields that say of themselves that they are UUIDs.
LOOKS_LIKE_AN_ID: Final = ("_id", "_ids", "owner", "token", "cursor", "session", "user")

AVATAR: Final = {"kind": "avatar", "avatar": {"description": "a captain"}}
OPTIONS: Final = {"session_id": The("session"), "user_id": The("user"), "tags": [The("tag")]}
NOTE: Final = {"note": "we attack ourselves"}
WORDS: Final = {"prompt": "a lighthouse"}
NAMED: Final = {"session_id": The("session"), "tags": [The("tag")], "deadline_s": 5}
EDITED: Final = {"images": [{"image_url": f"data:image/png;base64,{b64encode(png()).decode()}"}]}
REQUESTS: Final[tuple[dict[str, Any], ...]] = (
    AVATAR | OPTIONS,
    {"kind": "scene", "scene": {"theme": "coral-reef"}, "avatar_asset_id": The("asset")},
    {"kind": "image", "prompt": "a lighthouse", "image_asset_ids": [The("asset")]},
    {"kind": "enhance", "image_asset_id": The("asset")},
)
# Valid bodies: between them they name everything that the body of the route can name.
BODIES: Final[Mapping[str, tuple[dict[str, Any], ...]]] = {
    "POST /v1/generations": (*REQUESTS, AVATAR | {"quote_id": The("quote")}),
    "POST /v1/generations/{generation_id}/retry": ({},),
    "POST /v1/quotes": (*REQUESTS, AVATAR | {"quote_id": The("quote")}),
    "POST /v1/budgets": (
        {"of": "key", "owner": The("key"), "period": "day", "limit_usd": "1"},
        {"of": "tenant", "owner": The("tenant"), "period": "day", "limit_usd": "1"},
    ),
    "POST /v1/images/generations": (WORDS | {"diorama": NAMED, "user": The("user")},),
    "POST /v1/images/edits": (WORDS | EDITED | {"diorama": NAMED, "user": The("user")},),
    "POST /v1/erasures": ({"session_id": The("session")}, {"user_id": The("user")}),
    "POST /v1/keys/{key_id}/rotate": ({"grace_s": 0},),
    "PUT /v1/tenants/me/credentials/{provider}": ({"key": "r8_of_whoever_sends_it"},),
    "PATCH /v1/tenants/{tenant_id}": ({"tier": "free"},),
    "POST /v1/tenants/{tenant_id}/suspend": (NOTE,),
    "POST /v1/tenants/{tenant_id}/resume": (NOTE,),
    "POST /v1/tenants/{tenant_id}/keys": ({"name": "a key"},),
    "POST /v1/operations/reviews/{spend_id}": (NOTE | {"action": "accept_lost"},),
    "POST /v1/webhook-endpoints": ({"url": "https://8.8.8.8/hook"},),
    "PATCH /v1/webhook-endpoints/{endpoint_id}": ({"enabled": False},),
    "POST /v1/webhook-endpoints/{endpoint_id}/rotate-secret": ({"replaces_version": 1},),
}
# Named in a body or a header, these are the sender's own words, and whoever else uses them is neither met nor noticed.
OWN_WORDS: Final = frozenset({"session", "user", "tag", "idempotency key"})


@dataclass(frozen=True)
class Target:
    """One thing that a request to a door names: at `place`, and in a body where `body` has The(thing) for the `number`th time."""

    door: Door
    place: Place
    thing: str
    body: Mapping[str, Any] | None = None
    number: int = 0

    @property
    def is_own_word(self) -> bool:
        """Whether it is a word of the sender's own, whoever else uses it: from then on the sender has something of that name."""
        return self.place.where in {"body", "header"} and self.thing in OWN_WORDS

    def __str__(self) -> str:
        return f"{self.door} by {self.place.where} {self.place.name} ({self.thing})"


def targets(door: Door) -> list[Target]:
    """All that a request to this door can name of a tenant. Raises UnknownWay."""
    bodies = BODIES.get(str(door), ())
    named = [place for place in door.places if _names_something(door, place)]
    if door.takes_body and named and not bodies and str(door) != "POST /v1/assets":
        raise UnknownWay(f"{door} takes a body: give valid ones for it in BODIES ({HERE}).")
    first = bodies[0] if bodies else None
    found = [Target(door, place, THINGS[place.name], first) for place in named if place.where != "body"]
    in_bodies = [Target(door, Place("body", name), thing, body, number) for name, thing, body, number in _in(bodies)]
    if missing := {one.name for one in named if one.where == "body"} - {one.place.name for one in in_bodies}:
        raise UnknownWay(f"No body of {door} in BODIES ({HERE}) has {', '.join(sorted(missing))}: put The(...) there.")
    return [*found, *in_bodies]


def _names_something(door: Door, place: Place) -> bool:
    if place.name in THINGS:
        return True
    known = place.name in IN_PATHS if place.where == "path" else place.name in PLAIN
    looks_like_it = place.where != "body" or place.is_uuid or place.name.endswith(LOOKS_LIKE_AN_ID)
    if not known and looks_like_it:
        where = "IN_PATHS, with a value" if place.where == "path" else "PLAIN"
        raise UnknownWay(
            f"{door} has the {place.where} parameter or field '{place.name}'. If it names something of a tenant, say in THINGS "
            f"({HERE}) what it names, and see that belongings.py makes one; if it names nothing, add it to {where}."
        )
    return False


def _in(bodies: tuple[dict[str, Any], ...]) -> Iterator[tuple[str, str, dict[str, Any], int]]:
    """(field, thing, body, number within the body) of every The(...)."""
    for body in bodies:
        for number, (name, the) in enumerate(_marked(body)):
            yield name, the.thing, body, number


def _marked(part: Any, name: str = "") -> Iterator[tuple[str, The]]:
    if isinstance(part, The):
        yield name, part
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from _marked(value, key)
    elif isinstance(part, list):
        for value in part:
            yield from _marked(value, name)
