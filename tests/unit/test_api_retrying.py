"""Sending a failed generation's request again, changed or not."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from api.prompt_places import parse_request, prompt_place
from api.retrying import RetryRequest, request_again
from contracts.requests import ImageRequest
from contracts.statuses import Kind, Status, Step
from db.models import Generation
from errors import InvalidRequest, NotRetryable

IMAGE: dict[str, Any] = {
    "kind": "image",
    "prompt": "a gory battle",
    "provider": "replicate",
    "model": "openai/gpt-image-2",
}
CHAIN: dict[str, Any] = {
    "kind": "avatar_scene",
    "avatar": {"description": "a knight"},
    "scene": {"theme": "moon-base", "details": "in blood"},
}


def failed(request: dict[str, Any], *, status: Status = Status.failed, step: str | None = None) -> Generation:
    error: dict[str, Any] = {"code": "policy_refused", "detail": "Refused", "step": step, "facts": {}}
    stored = parse_request(request).model_dump(mode="json")
    return Generation(
        tenant_id=uuid4(),
        kind=Kind(request["kind"]),
        request=stored,
        status=status,
        error=error,
        request_hash="",
        quote_max_usd=Decimal(1),
    )


def test_without_changes_it_is_the_same_request() -> None:
    assert request_again(failed(IMAGE), RetryRequest()) == parse_request(IMAGE)


def test_another_provider_means_another_model_unless_one_is_named() -> None:
    request = request_again(failed(IMAGE), RetryRequest(provider="openai"))

    assert (request.provider, request.model) == ("openai", None)
    named = request_again(failed(IMAGE), RetryRequest(provider="openai", model="gpt-image-2"))
    assert (named.provider, named.model) == ("openai", "gpt-image-2")


def test_what_is_set_to_nothing_is_left_to_us() -> None:
    request = request_again(failed(IMAGE), RetryRequest.model_validate({"provider": None, "model": None}))

    assert (request.provider, request.model) == (None, None)


def test_a_pinned_request_is_not_pinned_any_more_at_another_provider() -> None:
    request = request_again(failed(IMAGE | {"strategy": "pinned"}), RetryRequest(provider="openai"))

    assert request.strategy is None


@pytest.mark.parametrize(
    ("request_", "step", "pointer"),
    [
        (IMAGE, "variant-1", "/prompt"),
        (CHAIN, "avatar", "/avatar/description"),
        (CHAIN, "scene", "/scene/details"),
        (CHAIN, None, "/avatar/description"),
    ],
)
def test_other_words_take_the_place_of_those_that_were_refused(
    request_: dict[str, Any], step: str | None, pointer: str
) -> None:
    again = request_again(failed(request_, step=step), RetryRequest(prompt="a calm lake"))
    place = prompt_place(again, Step(step) if step else None)

    assert place is not None
    assert (place.pointer, place.text) == (pointer, "a calm lake")


def test_an_enhancement_has_no_words() -> None:
    row = failed({"kind": "enhance", "image_asset_id": str(uuid4())})

    with pytest.raises(InvalidRequest):
        request_again(row, RetryRequest(prompt="a calm lake"))


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InvalidRequest, match="strategy pinned"):
        request_again(failed(IMAGE), RetryRequest.model_validate({"strategy": "pinned", "provider": None}))
    with pytest.raises(InvalidRequest, match=r"scene\.details"):
        request_again(failed(CHAIN, step="scene"), RetryRequest(prompt="x" * 1001))


@pytest.mark.parametrize("status", [Status.queued, Status.running, Status.succeeded, Status.needs_review])
def test_only_what_failed_or_was_canceled_can_be_sent_again(status: Status) -> None:
    with pytest.raises(NotRetryable):
        request_again(failed(IMAGE, status=status), RetryRequest())


def test_the_same_retry_has_the_same_key_and_another_one_another() -> None:
    generation_id = uuid4()

    assert RetryRequest().key(generation_id) == RetryRequest().key(generation_id)
    assert RetryRequest().key(generation_id) != RetryRequest(quality="low").key(generation_id)
    assert RetryRequest().key(generation_id) != RetryRequest().key(uuid4())


def test_a_retried_image_is_still_an_image() -> None:
    assert isinstance(request_again(failed(IMAGE), RetryRequest(quality="low")), ImageRequest)
