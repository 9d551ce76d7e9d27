"""Replicate's predictions as job reports, read leniently: key sets differ between backends and change over time."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from errors import Billed, DeadlineExceeded, JobCanceled, ModelFailed, OutputExpired, PolicyRefused, ProviderError
from providers.answers import is_text, seconds
from providers.base import JobReport, RemoteFile
from providers.model_entry import ModelEntry, ProviderEntry
from providers.replicate_errors import job_failure

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PERCENT = re.compile(r"(\d{1,3})%")
_TOKENS = re.compile(r"(Input text|Input image|Output) token count:? *(\d{1,9})\b", re.IGNORECASE)
_FILE_SCHEMES = ("https:", "http:", "data:")
_END_OF_LOGS = 4000  # characters: a progress bar's last lines
_KNOWN = {"starting", "processing", "succeeded", "failed", "canceled", "aborted"}


def is_job_id(value: object) -> bool:
    """True for an id that can stand in a URL's path."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def read_prediction(
    body: Mapping[str, Any], job_id: str, provider: ProviderEntry, entry: ModelEntry | None = None
) -> JobReport:
    """Where a prediction stands. Never raises: what cannot be read counts as not there.

    `entry`: the model's row, for the cost by the token counts at the end of its logs, or by the seconds that it ran.
    """
    facts = _facts(body)
    status = _status(body)
    if status == "succeeded":
        return _succeeded(body, job_id, facts, entry)
    ran_usd = _seconds_usd(body, entry)
    if status == "failed":
        return JobReport(job_id, "failed", failure=_failure(body, provider), cost_usd=ran_usd, facts=facts)
    if status == "canceled":
        stopped = _stopped(body, provider.canceled_billed)
        return JobReport(job_id, "canceled", failure=stopped, cost_usd=ran_usd, facts=facts)
    if status == "aborted":  # stopped before it started
        return JobReport(job_id, "canceled", failure=_stopped(body, "no"), facts=facts)
    # `processing` with an output is no end: outputs may still follow, and only a final status is billed and kept.
    return JobReport(job_id, "waiting" if status == "starting" else "running", progress=_progress(body), facts=facts)


def _status(body: Mapping[str, Any]) -> str:
    status = body.get("status")
    if isinstance(status, str) and status in _KNOWN:
        return status
    if is_text(body.get("completed_at")):  # a word that we do not know, and yet an end
        return "failed" if body.get("error") else "succeeded"
    return "processing"


def _failure(body: Mapping[str, Any], provider: ProviderEntry) -> ProviderError:
    failure = job_failure(body.get("error"), billed=provider.failed_billed)
    if isinstance(failure, PolicyRefused) and _ran(body):
        # "The input or output was flagged": it does not say which, and an output was made at a cost.
        failure.billed = "unknown"
    return failure


def _ran(body: Mapping[str, Any]) -> bool:
    return bool(_predict_time_s(body))


def _predict_time_s(body: Mapping[str, Any]) -> float | None:
    metrics = body.get("metrics")
    return seconds(metrics.get("predict_time")) if isinstance(metrics, dict) else None


def _succeeded(body: Mapping[str, Any], job_id: str, facts: Mapping[str, str], entry: ModelEntry | None) -> JobReport:
    outputs = _files(body.get("output"))
    cost_usd = _seconds_usd(body, entry) if entry and entry.per_second_usd else _tokens_usd(facts, entry)
    if outputs:
        return JobReport(job_id, "succeeded", outputs=outputs, progress=1.0, cost_usd=cost_usd, facts=facts)
    failure: ProviderError
    if body.get("data_removed") is True:
        failure = OutputExpired()
    elif body.get("output"):
        failure = ModelFailed("The model delivered something that is no picture.", billed="yes")
    else:  # how models on Replicate hide a picture that their filter did not like
        failure = PolicyRefused("The model delivered no picture.", billed="unknown", stage="output")
    return JobReport(job_id, "failed", failure=failure, cost_usd=cost_usd, facts=facts)


def _files(output: object) -> tuple[RemoteFile, ...]:
    """The picture first: one is ordered, and what a model lists before it is its working paper (a sketch's lines)."""
    if isinstance(output, dict):
        output = list(output.values())
    found = output[::-1] if isinstance(output, list) else [output]
    return tuple(RemoteFile(url) for url in found if isinstance(url, str) and url.lower().startswith(_FILE_SCHEMES))


def _stopped(body: Mapping[str, Any], billed: Billed) -> ProviderError:
    deadline, ended = _time(body.get("deadline")), _time(body.get("completed_at"))
    if deadline is not None and ended is not None and ended >= deadline:
        return DeadlineExceeded(billed=billed)
    return JobCanceled(billed=billed)


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _progress(body: Mapping[str, Any]) -> float | None:
    logs = body.get("logs")
    marks = _PERCENT.findall(logs[-_END_OF_LOGS:]) if isinstance(logs, str) else []
    return min(int(marks[-1]), 100) / 100 if marks else None


def _seconds_usd(body: Mapping[str, Any], entry: ModelEntry | None) -> Decimal | None:
    ran_s = _predict_time_s(body)
    if entry is None or entry.per_second_usd is None or ran_s is None:
        return None
    return round(entry.per_second_usd * Decimal(str(ran_s)), 6)


def _tokens_usd(facts: Mapping[str, str], entry: ModelEntry | None) -> Decimal | None:
    counts = [facts.get(name) for name in ("input_text_tokens", "input_image_tokens", "output_tokens")]
    if entry is None or entry.token_rates is None or counts[2] is None:
        return None
    text_in, image_in, image_out = (int(count or 0) for count in counts)
    return entry.token_rates.cost_usd(text_in=text_in, image_in=image_in, image_out=image_out)


def _facts(body: Mapping[str, Any]) -> dict[str, str]:
    facts: dict[str, str] = {}
    metrics = body.get("metrics")
    if isinstance(metrics, dict):
        for name in ("predict_time", "total_time"):
            if (value := seconds(metrics.get(name))) is not None:
                facts[f"{name}_s"] = f"{value:.3f}"
    logs = body.get("logs")
    if isinstance(logs, str):
        for name, count in _TOKENS.findall(logs[-_END_OF_LOGS:]):
            facts[f"{name.lower().replace(' ', '_')}_tokens"] = count
    return facts
