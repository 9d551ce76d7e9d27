"""What a path can be asked. A route knows its own method alone, and several of one path would each name only theirs."""

from fastapi import Request
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path


def allowed_methods(request: Request) -> str:
    """The methods of all routes that this request's path leads to, as `Allow` has them: `GET, POST`."""
    path: str = request.scope["path"]
    found = {
        method
        for route in iter_route_contexts(request.app.routes)
        if route.path is not None and compile_path(route.path)[0].fullmatch(path)
        for method in route.methods or ()
    }
    return ", ".join(sorted(found))
