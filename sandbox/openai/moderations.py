"""POST /v1/moderations: free, by the sandbox's word list. Pictures are never flagged."""

import secrets
from collections.abc import Iterator
from typing import Any

from sandbox.answers import Answer, json_answer
from sandbox.json_text import Json, decode
from sandbox.openai.errors import error, invalid_value, model_not_found
from sandbox.policy import CATEGORIES, flagged_categories
from sandbox.wire import Call, Refusal

LATEST = "omni-moderation-latest"
DATED = "omni-moderation-2024-09-26"
# Which categories the omni model also judges pictures by.
IMAGE_CATEGORIES = frozenset(
    {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}
)


async def moderate(call: Call) -> Answer:
    """Judge a text, a list of texts, or a list of text and image parts (which make one result)."""
    try:
        fields = decode(call.body)
        given = fields["input"]
    except (ValueError, KeyError, TypeError) as broken:
        raise Refusal(
            invalid_value("Missing required parameter: 'input'.", "input", "missing_required_parameter")
        ) from broken
    if fields.get("model", LATEST) not in (LATEST, DATED):
        raise Refusal(model_not_found(str(fields["model"])))
    return json_answer({"id": f"modr-{secrets.token_hex(16)}", "model": DATED, "results": list(_results(given))})


def _results(given: Any) -> Iterator[Json]:
    if isinstance(given, str):
        yield _result(given, has_text=True, has_image=False)
    elif isinstance(given, list) and given and all(isinstance(one, str) for one in given):
        for text in given:
            yield _result(text, has_text=True, has_image=False)
    elif isinstance(given, list) and given and all(isinstance(one, dict) for one in given):
        kinds = {one.get("type") for one in given}
        text = "\n".join(str(one.get("text", "")) for one in given)
        yield _result(text, has_text="text" in kinds, has_image="image_url" in kinds)
    else:
        raise Refusal(error(400, "Invalid 'input': expected a string or an array.", param="input", code="invalid_type"))


def _result(text: str, *, has_text: bool, has_image: bool) -> Json:
    flagged = flagged_categories(text)

    def inputs(category: str) -> list[str]:
        image = ["image"] if has_image and category in IMAGE_CATEGORIES else []
        return (["text"] if has_text else []) + image

    return {
        "flagged": bool(flagged),
        "categories": {name: name in flagged for name in CATEGORIES},
        "category_scores": {name: 0.98 if name in flagged else 0.0001 for name in CATEGORIES},
        "category_applied_input_types": {name: inputs(name) for name in CATEGORIES},
    }
