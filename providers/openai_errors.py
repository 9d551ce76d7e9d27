"""OpenAI's refusals in our words: by status and code, and by text only where it sends neither."""

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

_POLICY_CODES = {"moderation_blocked", "content_policy_violation"}
_QUOTA_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "organization_usage_limit_exceeded",
}
_SPEND_LIMIT = "_spend_limit"  # project_spend_limit_exceeded and its relatives
_REFUSED: dict[int, type[ProviderError]] = {
    401: ProviderCredentials,
    402: ProviderQuota,
    403: ModelGone,  # the organization is not verified for this model, or the region is not served
    404: ModelGone,
}
_UNDECIDED = {408, 409}
_DEFAULT_RETRY_S = 10.0
_TRY_AGAIN_IN = re.compile(r"try again in (?:(\d+)m)?(\d+(?:\.\d+)?)(ms|s)\b", re.IGNORECASE)
_VIOLATIONS = re.compile(r"safety_violations=\[([a-z/_, -]+)\]")
_FIELD = re.compile(r"[a-z][a-z0-9_.\[\]]{0,60}")

# The categories of the moderation endpoint; a word that is none of them is the vendor's text and stays here.
CATEGORIES = frozenset(
    {
        *("hate", "hate/threatening", "harassment", "harassment/threatening", "illicit", "illicit/violent"),
        *("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors"),
        *("violence", "violence/graphic"),
    }
)


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
    """A 4xx answer."""
    fields = _error_of(answer)
    code = fields["code"] if is_text(fields.get("code")) else ""
    said = fields["message"] if is_text(fields.get("message")) else ""
    _note(answer.status, code, said)
    if code in _POLICY_CODES:
        return _policy(fields, said)
    if code in _QUOTA_CODES or _SPEND_LIMIT in code:
        return ProviderQuota(status=answer.status)
    if answer.status == 429:
        return ProviderBusy(retry_after_s=_retry_after(answer.headers, said))
    if refused := _REFUSED.get(answer.status):
        return refused(status=answer.status)
    param = fields.get("param")
    return ProviderRejectedInput(
        status=answer.status, fields=param if isinstance(param, str) and _FIELD.fullmatch(param) else ""
    )


def _error_of(answer: Answer) -> dict[str, Any]:
    error = answer.fields().get("error")
    return error if isinstance(error, dict) else {}


def _policy(fields: Mapping[str, Any], said: str) -> PolicyRefused:
    """A refusal at the input stage costs nothing; at the output stage the picture was made, and is paid."""
    details = fields.get("moderation_details")
    details = details if isinstance(details, dict) else {}
    named = details.get("categories")
    if not isinstance(named, list):
        in_text = _VIOLATIONS.search(said)
        named = in_text[1].replace("_", "-").split(",") if in_text else []
    known = [word.strip() for word in named if isinstance(word, str) and word.strip() in CATEGORIES]
    category = ", ".join(known) or "unspecified"
    if details.get("moderation_stage") == "output":
        return PolicyRefused(billed="yes", category=category, stage="output")
    return PolicyRefused(billed="no", category=category, stage="input")


def _retry_after(headers: Mapping[str, str], said: str) -> float:
    milliseconds = seconds(headers.get("retry-after-ms"), at_most=3_600_000)
    if milliseconds is not None:
        return milliseconds / 1000
    whole = seconds(headers.get("retry-after"))
    if whole is not None:
        return whole
    if in_text := _TRY_AGAIN_IN.search(said):
        minutes, number, unit = in_text.groups()
        wait_s = float(number) / (1000 if unit.lower() == "ms" else 1) + 60 * float(minutes or 0)
        return min(wait_s, 3600.0)
    return _DEFAULT_RETRY_S


def _note(status: int, code: str, said: str) -> None:
    # A 401 quotes a part of the key.
    _log.warning(
        "openai_refused", status=status, vendor_code=code[:60], vendor_text="" if status == 401 else said[:300]
    )
