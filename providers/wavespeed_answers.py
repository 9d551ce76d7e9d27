"""WaveSpeed's answers: an envelope `{code, message, data}` whose code counts besides the HTTP status, and tasks as job reports."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from errors import JobCanceled, ModelFailed, OutputExpired, PolicyRefused, ProviderError
from providers.answers import Answer, seconds
from providers.base import JobReport, RemoteFile
from providers.model_entry import ProviderEntry
from providers.wavespeed_errors import job_failure

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FILE_SCHEMES = ("https:", "http:", "data:")


def is_job_id(value: object) -> bool:
    """True for an id that can stand in a URL's path."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def data_of(answer: Answer) -> dict[str, Any]:
    """What is in the envelope; empty when there is none."""
    data = answer.fields().get("data")
    return data if isinstance(data, dict) else {}


def items_of(answer: Answer) -> list[dict[str, Any]] | None:
    """The rows of a page (of tasks, of bills), newest first; None when the answer is no page."""
    items = data_of(answer).get("items")
    if items is None and "page" in data_of(answer):  # a page without rows may say null
        return []
    if not isinstance(items, list) or not all(isinstance(row, dict) for row in items):
        return None
    return items


def read_task(body: Mapping[str, Any], job_id: str, provider: ProviderEntry) -> JobReport:
    """Where a task stands. Never raises: what cannot be read counts as not there."""
    facts = _facts(body)
    status = body.get("status")
    if status == "completed":
        return _completed(body, job_id, facts)
    failure = _failure(body, status, provider)
    if failure is not None:
        canceled = isinstance(failure, JobCanceled)
        return JobReport(job_id, "canceled" if canceled else "failed", failure=failure, facts=facts)
    return JobReport(job_id, "waiting" if status == "created" else "running", facts=facts)


def made_at(row: Mapping[str, Any]) -> datetime | None:
    """When a listed task was created; None when it does not say so."""
    try:
        moment = datetime.fromisoformat(str(row.get("created_at")))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def billed_usd(bills: list[dict[str, Any]]) -> Decimal | None:
    """What the bills of one task come to (USD): deductions less refunds; None without a bill.

    Only the type says which is which: some of WaveSpeed's pages sign a deduction with a minus, others do not.
    """
    total: Decimal | None = None
    for bill in bills:
        amount = _amount(bill.get("price"))
        if amount is None or bill.get("billing_type") not in {"deduct", "refund"}:
            continue
        total = (total or Decimal(0)) + (amount if bill["billing_type"] == "deduct" else -amount)
    return total if total is None or total >= 0 else None


def _failure(body: Mapping[str, Any], status: object, provider: ProviderEntry) -> ProviderError | None:
    match status:
        case "failed" | "timeout":
            return job_failure(body.get("code"), body.get("error"), timed_out=status == "timeout", provider=provider)
        case "cancelled" | "canceled":
            return JobCanceled(billed=provider.canceled_billed)
        case "deleted":
            return OutputExpired()
        case _:
            return None


def _completed(body: Mapping[str, Any], job_id: str, facts: Mapping[str, str]) -> JobReport:
    outputs = body.get("outputs")
    found = outputs if isinstance(outputs, list) else []
    files = tuple(RemoteFile(url) for url in found if isinstance(url, str) and url.lower().startswith(_FILE_SCHEMES))
    flags = body.get("has_nsfw_contents")
    if isinstance(flags, list) and any(flag is True for flag in flags):
        # What the safety checker has flagged is delivered blank, and charged for: the task ran to its end.
        refused = PolicyRefused("The safety filter held the picture back.", billed="yes", stage="output")
        return JobReport(job_id, "failed", failure=refused, facts=facts)
    if files:
        return JobReport(job_id, "succeeded", outputs=files, progress=1.0, facts=facts)
    failure: ProviderError
    if found:
        failure = ModelFailed("The model delivered something that is no picture.", billed="yes")
    else:
        failure = PolicyRefused("The model delivered no picture.", billed="unknown", stage="output")
    return JobReport(job_id, "failed", failure=failure, facts=facts)


def _facts(body: Mapping[str, Any]) -> dict[str, str]:
    timings = body.get("timings")
    took_ms = seconds(timings.get("inference"), at_most=86_400_000) if isinstance(timings, dict) else None
    return {} if took_ms is None else {"predict_time_s": f"{took_ms / 1000:.3f}"}


def _amount(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = abs(Decimal(str(value)))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount < 1000 else None
