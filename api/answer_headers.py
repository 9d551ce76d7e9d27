"""Headers that an answer gets whatever it is: an error, a stream, or what the route made."""

from starlette.types import Scope

PLACE = "diorama.answer_headers"


def add_header(scope: Scope, name: str, value: str) -> None:
    """Send this header with the answer to the request."""
    scope.setdefault(PLACE, []).append((name.lower().encode("latin-1"), value.encode("latin-1")))


def added_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """What was added while the request was worked on."""
    found: list[tuple[bytes, bytes]] = scope.get(PLACE, [])
    return found
