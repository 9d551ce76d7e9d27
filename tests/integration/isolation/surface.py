"""All doors of an application, from its own table of routes, and all places of each where an id can be put."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

Where = Literal["path", "query", "header", "body"]
WEBSOCKET = "WS"
FILES = "FILES"


@dataclass(frozen=True, order=True)
class Place:
    """Where something can be named in a request; `is_uuid`: it says of itself that it is an id."""

    where: Where
    name: str
    is_uuid: bool = False


@dataclass(frozen=True)
class Door:
    """One method of one route. `takes_body`: it reads one, whatever it may be."""

    method: str
    path: str
    places: tuple[Place, ...]
    takes_body: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def doors(app: FastAPI) -> list[Door]:
    """Every route that this application has, hidden ones too."""
    document = app.openapi()
    return [door for context in iter_route_contexts(app.routes) for door in _doors(context, document)]


def _doors(context: RouteContext, document: dict[str, Any]) -> Iterator[Door]:
    path = re.sub(r":\w+}", "}", str(context.path))
    in_path = [Place("path", name) for name in re.findall(r"{(\w+)}", path)]
    dependant = getattr(context, "dependant", None)
    methods = getattr(context, "methods", None)
    if methods is None:
        yield Door(FILES if dependant is None else WEBSOCKET, path, (*in_path, *_undocumented(dependant)))
        return
    for method in sorted(methods):
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is None:
            yield Door(method, path, (*in_path, *_undocumented(dependant)))
            continue
        documented = {_parameter(one, document) for one in operation.get("parameters", ())}
        body = [content["schema"] for content in operation.get("requestBody", {}).get("content", {}).values()]
        fields = {place for schema in body for place in _fields(schema, document, set())}
        places = dict.fromkeys((*in_path, *sorted(documented | fields)))
        yield Door(method, path, tuple(one for one in places if _is_first(one, places)), takes_body=bool(body))


def _is_first(place: Place, places: dict[Place, None]) -> bool:
    """Path parameters are known from the path and from the document."""
    return place == next(one for one in places if (one.where, one.name) == (place.where, place.name))


def _undocumented(dependant: Dependant | None) -> Iterator[Place]:
    if dependant is None:
        return
    for field in dependant.query_params:
        yield Place("query", field.alias)
    for field in dependant.header_params:
        yield Place("header", field.alias.lower())
    for inner in dependant.dependencies:
        yield from _undocumented(inner)


def _parameter(parameter: dict[str, Any], document: dict[str, Any]) -> Place:
    where: Where = parameter["in"]
    name = parameter["name"].lower() if where == "header" else parameter["name"]
    is_uuid = where != "path" and _is_uuid(parameter.get("schema", {}), document)
    return Place(where, name, is_uuid)


def _is_uuid(schema: dict[str, Any], document: dict[str, Any]) -> bool:
    schema = _resolved(schema, document)
    inner = [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())]
    return schema.get("format") == "uuid" or any(_is_uuid(one, document) for one in inner)


def _fields(schema: dict[str, Any], document: dict[str, Any], seen: set[str]) -> Iterator[Place]:
    """All fields of a body, at any depth."""
    if reference := schema.get("$ref"):
        if reference in seen:
            return
        seen.add(reference)
        schema = _resolved(schema, document)
    for name, inner in schema.get("properties", {}).items():
        yield Place("body", name, _is_uuid(inner, document))
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    more = schema.get("additionalProperties")
    parts += [schema["items"]] if "items" in schema else []
    parts += [more] if isinstance(more, dict) else []
    for part in parts:
        yield from _fields(part, document, seen)


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if (reference := schema.get("$ref")) is None:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found
