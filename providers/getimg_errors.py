"""getimg's refusals in our words: by status and code, as both versions of its API share one shape of error."""

import re
from collections.abc import Mapping
from typing import Any

import structlog

from errors import (
    ModelGone,
    OutcomeUnknown,
    PolicyRefused,
    ProviderBusy,
    ProviderCredentials,
    ProviderError,
    ProviderQuota,
    ProviderRejectedInput,
    ProviderUnavailable,
)
from providers.answers import Answer, is_text, seconds

_log = structlog.get_logger(__name__)

_POLICY_CODES = {"content_policy_violation", "content_moderation"}
_QUOTA_CODES = {"quota_exceeded", "insufficient_balance"}
_KEY_CODES = {"invalid_api_key"}
_REFUSED: dict[int, type[ProviderError]] = {
    401: ProviderCredentials,
    402: ProviderQuota,
    403: ModelGone,  # the key is good, but not for this model
    404: ModelGone,
}
_UNDECIDED = {408, 409}
_DEFAULT_RETRY_S = 5.0  # too many at once: the answer says nothing of when one of them ends
_FIELD = re.compile(r"[a-z][a-z0-9_.\[\]]{0,60}")

# What its policy may be about, in the words of our categories; any other word is the vendor's text and stays here.
_CATEGORIES = ("sexual/minors", "sexual", "self-harm", "violence/graphic", "violence", "hate", "harassment", "illicit")


def create_refusal(answer: Answer) -> ProviderError:
    """A create's answer that is not 2xx: a definite refusal for most of 4xx, OutcomeUnknown for the rest."""
    if not 400 <= answer.status < 500 or answer.status in _UNDECIDED:
        return OutcomeUnknown(status=answer.status)
    return refusal(answer)


def read_refusal(answer: Answer) -> ProviderError:
    """The same for calls that buy nothing."""
    if not 400 <= answer.status < 500 or answer.status in _UNDECIDED:
        return ProviderUnavailable(status=answer.status)
    return refusal(answer)


def refusal(answer: Answer) -> ProviderError:
    """A 4xx answer. It costs nothing: what is refused comes without a `usage`."""
    fields = _error_of(answer)
    code, said = _text(fields, "code"), _text(fields, "message")
    param = _text(fields, "param")
    _note(answer.status, code, said)
    if code in _POLICY_CODES:
        return PolicyRefused(billed="no", category=_category(said), stage="unspecified")
    if code in _QUOTA_CODES:
        return ProviderQuota(status=answer.status)
    if code in _KEY_CODES:
        return ProviderCredentials(status=answer.status)
    if answer.status == 429:
        return ProviderBusy(retry_after_s=_retry_after(answer.headers))
    if refused := _REFUSED.get(answer.status):
        return refused(status=answer.status)
    if param == "model":
        return ModelGone(status=answer.status)
    return ProviderRejectedInput(status=answer.status, fields=param if _FIELD.fullmatch(param) else "")


def _error_of(answer: Answer) -> Mapping[str, Any]:
    error = answer.fields().get("error")
    return error if isinstance(error, dict) else {}


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if is_text(value) else ""


def _category(said: str) -> str:
    """There is no field for it: a category that the message names as a word of its own."""
    words = said.lower()
    return next((name for name in _CATEGORIES if re.search(rf"\b{re.escape(name)}\b", words)), "unspecified")


def _retry_after(headers: Mapping[str, str]) -> float:
    whole = seconds(headers.get("retry-after"))
    return _DEFAULT_RETRY_S if whole is None else whole


def _note(status: int, code: str, said: str) -> None:
    # A 401 may quote a part of the key.
    _log.warning(
        "getimg_refused", status=status, vendor_code=code[:60], vendor_text="" if status == 401 else said[:300]
    )
