"""The table of OpenAI's endpoints."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from sandbox.openai.errors import OpenAIDialect
from sandbox.openai.images import ImageRoutes
from sandbox.openai.models import ModelRoutes
from sandbox.openai.moderations import moderate
from sandbox.wire import Desk, Endpoint, Handler, Reader, no_prompt

PREFIX = "/openai/v1"


def openai_routes(desk: Desk, dialect: OpenAIDialect, images: ImageRoutes, models: ModelRoutes) -> Sequence[BaseRoute]:
    """The routes."""

    def route(method: str, path: str, operation: str, handler: Handler, reader: Reader = no_prompt) -> Route:
        return Route(PREFIX + path, Endpoint(desk, dialect, operation, handler, reader), methods=[method])

    return [
        route("POST", "/images/generations", "create", images.generate, images.read),
        route("POST", "/images/edits", "create", images.edit, images.read),
        route("POST", "/moderations", "other", moderate),
        route("GET", "/models", "other", models.list),
        route("GET", "/models/{id}", "other", models.get),
    ]
