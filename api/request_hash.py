"""What tells one request from another under the same Idempotency-Key."""

import hashlib
import json
from typing import Any, Final

from contracts.requests import AnyRequest

# Another promise about the price makes no other request.
NEVER_COUNTED: Final = {"quote_id"}
# These fields count although nobody gave them, as they did when there were no others: keys of that time still hold. A field
# that came later counts only where it is given, so that no release changes the hash of a request that does not use it.
ALWAYS_COUNTED: Final[dict[str, Any]] = {
    "kind": True,
    "avatar": {"description", "style", "size"},
    "scene": {"theme", "details", "size"},
    "avatar_asset_id": True,
    "image_url": True,
    "session_id": True,
    "tags": True,
    "quality": True,
    "provider": True,
    "model": True,
    "force_model": True,
    "deadline_s": True,
}


def request_hash(request: AnyRequest) -> str:
    """The same for requests that mean the same, however their JSON was written, and in every release."""
    always = request.model_dump(mode="json", include=ALWAYS_COUNTED)
    counted = _merged(always, request.model_dump(mode="json", exclude_defaults=True, exclude=NEVER_COUNTED))
    canonical = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _merged(always: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Both; parts that are objects are merged, too."""
    parts = {
        name: _merged(always[name], value) if isinstance(value, dict) and isinstance(always.get(name), dict) else value
        for name, value in given.items()
    }
    return always | parts
