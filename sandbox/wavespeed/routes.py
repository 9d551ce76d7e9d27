"""The table of WaveSpeed's endpoints, and of the host of its files."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from sandbox.wavespeed.errors import WaveSpeedDialect
from sandbox.wavespeed.handlers import TaskHandlers
from sandbox.wavespeed.outputs import OutputHandlers, StorageDialect
from sandbox.wavespeed.rendering import PREFIX
from sandbox.wire import Desk, Endpoint, Handler, Reader, no_prompt


def wavespeed_routes(
    desk: Desk, dialect: WaveSpeedDialect, tasks: TaskHandlers, outputs: OutputHandlers
) -> Sequence[BaseRoute]:
    """The routes, the busiest first; a create's path is the model's id, so it comes last."""
    files = StorageDialect()

    def route(method: str, path: str, operation: str, handler: Handler, reader: Reader = no_prompt) -> Route:
        endpoint = Endpoint(desk, dialect, operation, handler, reader)
        return Route(f"{PREFIX}/api/v3{path}", endpoint, methods=[method])

    return [
        route("GET", "/predictions/{id}/result", "get", tasks.result, tasks.read_task),
        route("POST", "/predictions", "list", tasks.list),
        route("POST", "/billings/search", "other", tasks.bills),
        route("POST", "/media/uploads", "other", tasks.upload),
        route("GET", "/balance", "other", tasks.balance),
        route("GET", "/models", "other", tasks.models),
        route("GET", "/webhook/secret", "other", tasks.webhook_secret),
        route("POST", "/{model:path}", "create", tasks.create, tasks.read_create),
        Route(
            f"{PREFIX}/outputs/{{secret}}/{{id}}/{{file}}",
            Endpoint(desk, files, "delivery", outputs.output, outputs.read),
            methods=["GET"],
        ),
        Route(f"{PREFIX}/media/{{name}}/{{file}}", Endpoint(desk, files, "other", outputs.put), methods=["PUT"]),
    ]
