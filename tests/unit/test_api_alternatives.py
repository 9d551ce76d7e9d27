"""Who else could make a request's pictures."""

from decimal import Decimal
from typing import Any

import pytest

from api.alternatives import MOST, alternatives, explain
from api.prompt_places import parse_request
from api.quotes import Quoter
from contracts.requests import AnyRequest
from errors import InvalidRequest, UnknownModel
from providers.catalog import Catalog

EVERYBODY = frozenset({"replicate", "openai"})


def quoter(*configured: str) -> Quoter:
    return Quoter(Catalog.load(), configured=frozenset(configured) or EVERYBODY, review_above_usd=Decimal("0.50"))


def image(**options: Any) -> AnyRequest:
    return parse_request({"kind": "image", "prompt": "a fox", **options})


def keys(request: AnyRequest, **options: Any) -> list[tuple[str, str]]:
    return [(one.provider, one.model) for one in alternatives(request, quoter(), **options)]


def test_at_most_five_are_named_each_once_whoever_was_named_before() -> None:
    found = keys(image(provider="replicate", model="openai/gpt-image-2"))

    assert 0 < len(found) <= MOST
    assert len(set(found)) == len(found)


def test_who_was_tried_is_not_named_again() -> None:
    first = keys(image())[0]

    assert first not in keys(image(), but={first})


def test_nobody_is_named_at_a_provider_that_is_closed() -> None:
    found = keys(image(), not_at={"replicate"})

    assert {provider for provider, _model in found} == {"openai"}


def test_whoever_is_named_can_make_all_pictures_of_a_chain() -> None:
    avatar = {"description": "a fox"}
    chain = parse_request({"kind": "avatar_scene", "avatar": avatar, "scene": {"theme": "moon-base"}})

    for provider, model in keys(chain):
        alone = chain.model_copy(update={"provider": provider, "model": model})
        assert quoter().quote(alone).max_usd > 0


def test_nobody_is_named_where_nobody_can() -> None:
    assert alternatives(image(), quoter("nobody")) == ()


@pytest.mark.parametrize(("options", "named"), [({}, False), ({"model": "gpt-image-1"}, True)])
def test_a_refusal_names_others_only_where_somebody_was_named(options: dict[str, Any], named: bool) -> None:
    error: InvalidRequest = UnknownModel()

    explain(error, image(**options), quoter())

    assert error.facts["links"] == {"models": "/v1/models"}
    assert ("alternatives" in error.facts) is named
