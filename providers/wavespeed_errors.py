"""WaveSpeed's refusals and failures in our words: by HTTP status, by the code in the body, by text only where there is no code."""

import re
from collections.abc import Mapping

import structlog

from errors import (
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
from providers.model_entry import ProviderEntry

_log = structlog.get_logger(__name__)

_SUCCESS = 200
_REFUSED: Mapping[int, type[ProviderError]] = {
    401: ProviderCredentials,
    402: ProviderQuota,
    403: ProviderCredentials,
    404: ModelGone,
}
_UNDECIDED = {408, 409}  # a time-out or a conflict at their side: the purchase may have been made
_DEFAULT_RETRY_S = 15.0  # the limits are by the minute, and no header says when the next one begins
_OUT_OF_MONEY = re.compile(r"insufficient (?:credit|balance|fund)|top[- ]?up", re.IGNORECASE)
_SENSITIVE = re.compile(r"sensitive|nsfw|moderat|content policy|safety", re.IGNORECASE)

# The codes of its page "Error codes": 1xxx is about what was sent, 5xxx about WaveSpeed itself.
_MODERATION = 1200
_FAILED: Mapping[int, tuple[type[ProviderError], str]] = {
    _MODERATION: (PolicyRefused, ""),
    1400: (ProviderRejectedInput, ""),
    1401: (ProviderRejectedInput, ""),
    1402: (ModelFailed, "The provider could not read a picture to start from."),  # our address, not the client's fault
    1403: (ModelFailed, ""),
    1405: (ModelFailed, ""),
    5000: (ProviderInterrupted, ""),
    5003: (ProviderInterrupted, ""),
    5004: (ProviderInterrupted, "The model did not finish in the provider's own time."),
}
_INPUT_CODES = {1400, 1401, 1402}


def code_of(answer: Answer) -> int | None:
    """The envelope's own code: 200, another HTTP status, or one of WaveSpeed's; None when it has none."""
    code = answer.fields().get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def says_success(answer: Answer) -> bool:
    """True when the HTTP status and the envelope agree that the call worked."""
    return answer.is_success and code_of(answer) in {_SUCCESS, None}


def create_refusal(answer: Answer) -> ProviderError:
    """A create's answer that names no task: a definite refusal for most of 4xx and 1xxx, OutcomeUnknown for the rest."""
    status = _status(answer)
    code = code_of(answer)
    refusal = _by_own_code(answer, code)
    if refusal is not None:
        return refusal
    if not 400 <= status < 500 or status in _UNDECIDED:
        return OutcomeUnknown(status=status)
    _note(answer)
    if status == 429:
        return _busy(answer)
    if kind := _REFUSED.get(status):
        return kind(status=status)
    said = _message(answer)
    if _OUT_OF_MONEY.search(said):
        return ProviderQuota(status=status)
    return PolicyRefused(stage="input") if _SENSITIVE.search(said) else ProviderRejectedInput(status=status)


def upload_refusal(answer: Answer) -> ProviderError:
    """An upload's answer that is no success: the purchase itself has not left yet, so a fault at their side costs nothing."""
    refusal = create_refusal(answer)
    if isinstance(refusal, OutcomeUnknown | ModelGone):
        return ProviderUnreachable(status=answer.status)
    return refusal


def read_refusal(answer: Answer) -> ProviderError:
    """A look's answer that is no success.

    Always one of the two that ask for another look, a refused key included: the job may be running and paid, and
    ProviderCredentials would send the caller on to buy from another provider.
    """
    if _status(answer) == 429:
        return _busy(answer)
    _note(answer)
    return ProviderUnavailable(status=_status(answer))


def poll_refusal(answer: Answer) -> ProviderError:
    """A poll's answer that is no success: JobNotFound only when it is WaveSpeed itself that says so, and no proxy."""
    return JobNotFound() if code_of(answer) == 404 else read_refusal(answer)


def probe_refusal(answer: Answer) -> ProviderError:
    """What a purchase would meet, by the answer to a call that costs nothing."""
    status = _status(answer)
    if status in {401, 402, 403}:
        return _REFUSED[status](status=status)
    return read_refusal(answer)


def job_failure(code: object, said: object, *, timed_out: bool, provider: ProviderEntry) -> ProviderError:
    """Why a task failed. Failures are refunded by themselves; `timed_out`: WaveSpeed gave it up as too slow."""
    billed = provider.failed_billed
    known = _FAILED.get(code) if isinstance(code, int) else None
    if timed_out and known is None:
        known = _FAILED[5004]
    if known is not None:
        kind, detail = known
        return kind(detail, billed=billed, vendor_code=str(code) if code else "timeout")
    text = said if isinstance(said, str) else ""
    if _SENSITIVE.search(text):
        return PolicyRefused(billed=billed)
    _log.warning("wavespeed_failure_without_known_code", vendor_text=text[-300:])
    return ModelFailed(billed=billed)


def _by_own_code(answer: Answer, code: int | None) -> ProviderError | None:
    """A refusal that only WaveSpeed's own code tells; a failure of the model is none, as then a task has run."""
    if answer.status >= 500:  # whatever it says: something broke on the way
        return None
    if code == _MODERATION:
        _note(answer)
        return PolicyRefused(stage="input", vendor_code=str(code))
    if code in _INPUT_CODES:
        _note(answer)
        return ProviderRejectedInput(vendor_code=str(code))
    return None


def _status(answer: Answer) -> int:
    """The HTTP status, or the envelope's code where the status says nothing but that an answer came."""
    code = code_of(answer)
    if not answer.is_success or code is None or code == _SUCCESS:
        return answer.status
    return code


def _busy(answer: Answer) -> ProviderBusy:
    wait_s = seconds(answer.headers.get("retry-after"))
    return ProviderBusy(retry_after_s=_DEFAULT_RETRY_S if wait_s is None else wait_s)


def _message(answer: Answer) -> str:
    message = answer.fields().get("message")
    return message if is_text(message) else ""


def _note(answer: Answer) -> None:
    if _status(answer) in {401, 403}:  # such a text may quote a part of the key
        _log.warning("wavespeed_refused", status=_status(answer))
    else:
        _log.warning(
            "wavespeed_refused", status=_status(answer), vendor_text=answer.body[:300].decode(errors="replace")
        )
