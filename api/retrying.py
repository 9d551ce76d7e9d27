"""Sending a failed generation's request again: as it was, at somebody else's, or in other words."""

import hashlib
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints, ValidationError

from api.failure_help import FAILED
from api.prompt_places import changed, parse_request, prompt_place
from contracts.frozen import Frozen
from contracts.pictures import Failure
from contracts.requests import AnyRequest, ProviderName, Quality
from contracts.wishes import Strategy
from db.models import Generation
from errors import InvalidRequest, NotRetryable


class RetryRequest(Frozen):
    """What is to be different; empty for the same request once more."""

    provider: ProviderName | None = Field(default=None, description="Empty, with another one named before: anybody.")
    model: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    strategy: Strategy | None = None
    providers: tuple[ProviderName, ...] | None = Field(default=None, max_length=20)
    quality: Quality | None = None
    max_cost_usd: Annotated[Decimal, Field(gt=0, le=1000, max_digits=10, decimal_places=6)] | None = None
    deadline_s: Annotated[int, Field(ge=5, le=1800)] | None = None
    prompt: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32_000)] | None = Field(
        default=None,
        description="Other words, such as error.suggested_prompt; they take the place of error.suggested_field.",
    )

    def key(self, generation_id: UUID) -> str:
        """The key to accept it with where the client names none: the same retry twice is one new generation."""
        digest = hashlib.sha256(self.model_dump_json(exclude_unset=True).encode()).hexdigest()
        return f"retry.{generation_id}.{digest[:32]}"


def request_again(row: Generation, wanted: RetryRequest) -> AnyRequest:
    """The request to accept. Raises NotRetryable, and InvalidRequest naming the field that does not fit the others."""
    if row.status not in FAILED:
        raise NotRetryable(f"The generation is {row.status}.", status_now=row.status.value)
    request = parse_request(row.request)
    request = request.model_copy(update={"quote_id": None})  # it was good for that one
    changes: dict[tuple[str, ...], Any] = {
        (name,): value for name, value in wanted.model_dump(mode="json", exclude_unset=True, exclude={"prompt"}).items()
    }
    changes |= {(name,): () for name in ("providers",) if changes.get((name,), ()) is None}
    if wanted.provider is not None and "model" not in wanted.model_fields_set:
        changes["model",] = None  # its name is another one there
        if request.strategy == "pinned":
            changes.setdefault(("strategy",), None)
    if wanted.prompt is not None:
        changes[_place_of(row, request)] = wanted.prompt
    try:
        return changed(request, changes)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in problem["loc"][1:])
        raise InvalidRequest(f"Not valid: {field or 'the request'}: {problem['msg']}", field=field) from None


def _place_of(row: Generation, request: AnyRequest) -> tuple[str, ...]:
    failure = Failure.model_validate(row.error) if row.error else None
    place = prompt_place(request, failure.step if failure else None)
    if place is None:
        raise InvalidRequest("This request has no words that could be replaced.", field="prompt")
    return place.path
