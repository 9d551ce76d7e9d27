"""The table of Replicate's endpoints."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from sandbox.replicate.catalog_routes import CatalogRoutes
from sandbox.replicate.errors import ReplicateDialect
from sandbox.replicate.file_routes import FileRoutes
from sandbox.replicate.prediction_routes import PredictionRoutes
from sandbox.wire import Desk, Endpoint, Handler, Reader, no_prompt

PREFIX = "/replicate/v1"


def replicate_routes(
    desk: Desk, dialect: ReplicateDialect, predictions: PredictionRoutes, files: FileRoutes, catalog: CatalogRoutes
) -> Sequence[BaseRoute]:
    """The routes, the busiest first."""

    def route(method: str, path: str, operation: str, handler: Handler, reader: Reader = no_prompt) -> Route:
        return Route(PREFIX + path, Endpoint(desk, dialect, operation, handler, reader), methods=[method])

    create, existing = predictions.read_create, predictions.read_prediction
    return [
        route("GET", "/predictions/{id}", "get", predictions.get, existing),
        route("POST", "/models/{owner}/{name}/predictions", "create", predictions.create_by_model, create),
        route("POST", "/predictions", "create", predictions.create_by_version, create),
        route("POST", "/predictions/{id}/cancel", "cancel", predictions.cancel, existing),
        route("GET", "/predictions", "list", predictions.list),
        route("POST", "/deployments/{owner}/{name}/predictions", "create", predictions.create_by_deployment, create),
        route("POST", "/files", "other", files.create),
        route("GET", "/files", "other", files.list),
        route("GET", "/files/{id}", "other", files.get),
        route("DELETE", "/files/{id}", "other", files.delete),
        route("GET", "/files/{id}/download", "other", files.download),
        route("GET", "/models/{owner}/{name}", "other", catalog.model),
        route("GET", "/models/{owner}/{name}/versions/{version}", "other", catalog.version),
        route("GET", "/account", "other", catalog.account),
        route("GET", "/webhooks/default/secret", "other", catalog.webhook_secret),
    ]
