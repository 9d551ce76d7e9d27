"""Every route under /v1 asks for a scope, or is an operator's; a new route is covered by itself."""

from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute

from api.app import ROUTERS
from api.dependencies import Require, require_operator

# Providers sign their webhooks instead.
WITHOUT_A_KEY = {("POST", "/v1/webhooks/{provider}/{token}")}
# They look at scopes themselves, since they can refuse only by closing: tests/integration/api/test_api_limits.py shows each.
WEBSOCKETS = {"/v1/generations/{generation_id}/ws"}
OPERATOR = "operator"
# Of two that fit, the longer one counts.
ADMINS = ("/v1/keys", "/v1/budgets", "/v1/audit", "/v1/tenants/me/")
OPERATORS = ("/v1/operations", "/v1/tenants", "/v1/audit/export")


def _asked(dependant: Dependant) -> Iterator[str]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Require):
            yield inner.call.scope.value
        if inner.call is require_operator:
            yield OPERATOR
        yield from _asked(inner)


def _routes() -> dict[tuple[str, str], set[str]]:
    """(method, path) -> what its key must have."""
    return {
        (method, route.path): set(_asked(route.dependant))
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path.startswith("/v1")
        for method in route.methods or ()
    }


ROUTES = _routes()


def test_every_route_asks_for_exactly_one_scope() -> None:
    strays = {route: scopes for route, scopes in ROUTES.items() if len(scopes) != 1 and route not in WITHOUT_A_KEY}

    assert len(ROUTES) > 40
    assert strays == {}


def test_the_routes_without_a_key_are_those_that_are_named_here() -> None:
    assert {route for route, scopes in ROUTES.items() if not scopes} == WITHOUT_A_KEY


def test_what_is_no_usual_route_is_a_websocket_that_is_named_here() -> None:
    others = [route for router in ROUTERS for route in router.routes if not isinstance(route, APIRoute)]

    assert {route.path for route in others if isinstance(route, APIWebSocketRoute)} == WEBSOCKETS
    assert [route for route in others if not isinstance(route, APIWebSocketRoute)] == []


@pytest.mark.parametrize("route", sorted(set(ROUTES) - WITHOUT_A_KEY), ids=" ".join)
def test_reading_takes_read_making_takes_generate_and_deciding_takes_more(route: tuple[str, str]) -> None:
    method, path = route
    usual = "read" if method in {"GET", "HEAD"} else "generate"
    deciding = dict.fromkeys(ADMINS, "admin") | dict.fromkeys(OPERATORS, OPERATOR)
    fitting = max((prefix for prefix in deciding if path.startswith(prefix)), key=len, default="")

    assert ROUTES[route] == {deciding.get(fitting, usual)}
