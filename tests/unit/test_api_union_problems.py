"""A body of an unknown kind: the answer names the field and the kinds that there are, in the API's words."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api import problems
from contracts.requests import GenerationRequest
from contracts.statuses import Kind


async def problem_of(body: Any) -> dict[str, Any]:
    app = FastAPI()
    problems.install(app)

    @app.post("/")
    async def take(request: GenerationRequest) -> None:
        """Accept it."""

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        answer: dict[str, Any] = (await client.post("/", json=body)).json()
    return answer


async def test_a_kind_that_is_not_known_is_told_with_those_that_are() -> None:
    problem = await problem_of({"kind": "nonsense"})

    known = problem["errors"][0]["detail"].removeprefix("Input should be one of: ").split(", ")
    assert (problem["detail"], problem["errors"][0]["pointer"]) == ("Not valid: /kind.", "/kind")
    assert {"avatar", "scene", "avatar_scene", "image", "enhance"} <= set(known) <= {kind.value for kind in Kind}


@pytest.mark.parametrize("body", [{}, {"prompt": "a boat"}])
async def test_a_kind_that_is_missing_is_a_field_that_is_required(body: Any) -> None:
    problem = await problem_of(body)

    assert problem["errors"] == [{"pointer": "/kind", "location": "body", "detail": "Field required"}]
