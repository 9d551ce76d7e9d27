"""Replicate's refusals and failures in our words: by status, by code, and by text only where it sends no code."""

import re
from collections.abc import Callable

import structlog

from errors import (
    Billed,
    JobNotFound,
    ModelFailed,
    ModelGone,
    OutcomeUnknown,
    PolicyRefused,
    ProviderBusy,
    ProviderCredentials,
    ProviderError,
    ProviderInterrupted,
    ProviderQuota,
    ProviderRejectedInput,
    ProviderUnavailable,
    ProviderUnreachable,
)
from providers.answers import Answer, is_text, seconds

_log = structlog.get_logger(__name__)

_REFUSED: dict[int, type[ProviderError]] = {
    401: ProviderCredentials,
    402: ProviderQuota,
    403: ProviderCredentials,
    404: ModelGone,
}
_UNDECIDED = {408, 409}  # a time-out or a conflict at their side: the purchase may have been made
_NO_SUCH_VERSION = "Invalid version or not permitted"  # a title that Replicate uses as a code
_DEFAULT_RETRY_S = 10.0  # a low-credit account gets one create every ten seconds
_RESETS_IN = re.compile(r"resets in ~?(\d+(?:\.\d+)?)\s*s")
_LOW_CREDIT = re.compile(r"less than \$[\d.]+ in credit")
_FIELD = re.compile(r"[a-z][a-z0-9_.\[\]]{0,60}")

# Codes stand in the text: "... (E005) (xyz)", "... (code: PA)", "E6716 Timeout Starting Prediction".
_CODE = re.compile(r"\b(E\d{3,5})\b|code: ([A-Z]{2,})\b")
_FAILED: dict[str, tuple[type[ProviderError], str]] = {
    "E005": (PolicyRefused, ""),
    "PA": (ProviderInterrupted, ""),
    "E004": (ProviderInterrupted, ""),
    "E1000": (ProviderInterrupted, ""),
    "E6716": (ProviderInterrupted, "The model did not start in time."),
    "E8765": (ProviderInterrupted, ""),
    "E9243": (ProviderInterrupted, ""),
    "E9828": (ProviderInterrupted, ""),
    "E1001": (ProviderRejectedInput, "The picture is too large for this model."),
    "E4875": (ProviderRejectedInput, "The provider did not accept the webhook address."),
}
_FAILED_TEXT: tuple[tuple[re.Pattern[str], type[ProviderError], str], ...] = (
    (
        re.compile(
            r"flagged as sensitive|NSFW|moderation_blocked|content_policy_violation|safety system|(content|request) moderated",
            re.IGNORECASE,
        ),
        PolicyRefused,
        "",
    ),
    (
        # Real-ESRGAN's own check, and PyTorch's several ways to say that the GPU's memory is full.
        re.compile(r"fits in GPU memory|\bout of memory\b|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED", re.IGNORECASE),
        ProviderRejectedInput,
        "The picture is too large for this model.",
    ),
    (
        re.compile(r"cannot identify image file", re.IGNORECASE),
        ProviderRejectedInput,
        "The model could not read the picture that it was given.",
    ),
)


def create_refusal(answer: Answer) -> ProviderError:
    """A create's answer that is not 2xx: a definite refusal for most of 4xx, OutcomeUnknown for the rest."""
    if not 400 <= answer.status < 500 or answer.status in _UNDECIDED:
        return OutcomeUnknown(status=answer.status)
    _note(answer)
    if answer.status == 429:
        return _busy(answer)
    fields = answer.fields()
    if answer.status == 422 and fields.get("title") == _NO_SUCH_VERSION:
        return ModelGone(status=422)
    if refused := _REFUSED.get(answer.status):
        return refused(status=answer.status)
    return ProviderRejectedInput(status=answer.status, fields=_field_names(fields.get("invalid_fields")))


def upload_refusal(answer: Answer) -> ProviderError:
    """An upload's answer that is not 2xx: the purchase itself has not left yet, so a fault at their side costs nothing."""
    refusal = create_refusal(answer)
    if isinstance(refusal, OutcomeUnknown | ModelGone):
        return ProviderUnreachable(status=answer.status)
    return refusal


def read_refusal(answer: Answer) -> ProviderError:
    """A look's answer that is not 2xx.

    Always one of the two that ask for another look, a refused key included: the job may be running and paid, and
    ProviderCredentials would send the caller on to buy from another provider.
    """
    if answer.status == 429:
        return _busy(answer)
    _note(answer)
    return ProviderUnavailable(status=answer.status)


def probe_refusal(answer: Answer) -> ProviderError:
    """A probe's answer that is not 2xx: what a purchase would meet; a fault at their side costs nothing here."""
    refusal = create_refusal(answer)
    return ProviderUnavailable(status=answer.status) if isinstance(refusal, OutcomeUnknown) else refusal


def poll_refusal(answer: Answer) -> ProviderError:
    """A poll's answer that is not 2xx: JobNotFound only when it is Replicate itself that says so, and no proxy."""
    if answer.status == 404 and answer.fields().get("status") == 404:
        return JobNotFound()
    return read_refusal(answer)


def job_failure(text: object, *, billed: Billed) -> ProviderError:
    """What the `error` of a failed prediction means; `billed`: what Replicate charges for failed predictions."""
    said = text if isinstance(text, str) else ""
    for found in _CODE.finditer(said):
        code = found[1] or found[2]
        if code in _FAILED:
            kind, detail = _FAILED[code]
            return kind(detail, billed=billed, vendor_code=code)
    for pattern, kind, detail in _FAILED_TEXT:
        if pattern.search(said):
            return kind(detail, billed=billed)
    _log.warning("replicate_failure_without_known_code", vendor_text=said[-300:])
    return ModelFailed(billed=billed)


def _busy(answer: Answer) -> ProviderBusy:
    fields = answer.fields()
    said = fields["detail"] if is_text(fields.get("detail")) else ""
    in_text = _RESETS_IN.search(said)
    readers: tuple[Callable[[], float | None], ...] = (
        lambda: seconds(fields.get("retry_after")),
        lambda: seconds(answer.headers.get("retry-after")),
        lambda: seconds(in_text[1]) if in_text else None,
    )
    wait_s = next((found for read in readers if (found := read()) is not None), _DEFAULT_RETRY_S)
    return ProviderBusy(retry_after_s=wait_s, low_credit=bool(_LOW_CREDIT.search(said)))


def _field_names(invalid_fields: object) -> str:
    """`input.quality, input.prompt`: names only, as the descriptions are the vendor's text."""
    rows = invalid_fields if isinstance(invalid_fields, list) else []
    names = [row.get("field") for row in rows if isinstance(row, dict)]
    return ", ".join(name for name in names[:10] if isinstance(name, str) and _FIELD.fullmatch(name))


def _note(answer: Answer) -> None:
    if answer.status in {401, 403}:  # such a text may quote a part of the key
        _log.warning("replicate_refused", status=answer.status)
    else:
        _log.warning("replicate_refused", status=answer.status, vendor_text=answer.body[:300].decode(errors="replace"))
