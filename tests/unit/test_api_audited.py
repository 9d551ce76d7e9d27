"""Whoever decides is on record: every route that an admin's or an operator's key changes something with knows its actor."""

from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.app import ROUTERS
from api.dependencies import Require, _actor, require_operator
from contracts.scopes import KeyScope


def _all(dependant: Dependant) -> Iterator[Dependant]:
    for inner in dependant.dependencies:
        yield inner
        yield from _all(inner)


def _decides(route: APIRoute) -> bool:
    calls = [inner.call for inner in _all(route.dependant)]
    is_admins = any(isinstance(call, Require) and call.scope is KeyScope.admin for call in calls)
    return (is_admins or require_operator in calls) and not (route.methods or set()) <= {"GET", "HEAD"}


DECIDING = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute) and _decides(route)]


def test_every_route_that_decides_knows_who_does() -> None:
    strays = {
        f"{sorted(route.methods or ())} {route.path}"
        for route in DECIDING
        if _actor not in [inner.call for inner in _all(route.dependant)]
    }

    assert len(DECIDING) > 10
    assert strays == set()
