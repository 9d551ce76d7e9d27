"""The table of getimg's endpoints, and of the host of its pictures."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from sandbox.getimg.account import AccountRoutes
from sandbox.getimg.errors import GetimgDialect
from sandbox.getimg.generations import MEDIA, PREFIX, GenerationRoutes
from sandbox.getimg.media import MediaDialect, MediaRoutes
from sandbox.wire import Desk, Endpoint, Handler, Reader, no_prompt


def getimg_routes(
    desk: Desk, dialect: GetimgDialect, generations: GenerationRoutes, account: AccountRoutes, media: MediaRoutes
) -> Sequence[BaseRoute]:
    """The routes."""

    def route(method: str, path: str, operation: str, handler: Handler, reader: Reader = no_prompt) -> Route:
        return Route(PREFIX + path, Endpoint(desk, dialect, operation, handler, reader), methods=[method])

    pictures = Endpoint(desk, MediaDialect(), "delivery", media.picture, media.read)
    return [
        Route(f"{MEDIA}/{{secret}}/{{file}}", pictures, methods=["GET"]),
        route("POST", "/v2/images/generations", "create", generations.version_2, generations.read),
        route("GET", "/v2/models", "other", account.models),
        route("GET", "/v2/models/{id}", "other", account.model),
        route("GET", "/v2/billing/balance", "other", account.balance),
        route("GET", "/v1/account/balance", "other", account.old_balance),
        route("POST", "/v1/{family}/{operation}", "create", generations.version_1, generations.read),
    ]
