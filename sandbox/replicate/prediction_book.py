"""All predictions, newest last: creation, look-up, cancellation, listing; rebuilt from the record log after a restart."""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sandbox.charges import Charge, ChargeLedger
from sandbox.json_text import Json
from sandbox.record_log import RecordLog
from sandbox.replicate.predictions import Fate, PicturePlan, Prediction

PAGE: int = 100
"""Predictions on a page of the list."""


class BadCursor(ValueError):
    """A page cursor that the list did not make."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list, newest first, and the cursors of its neighbours."""

    predictions: list[Prediction]
    next_cursor: str | None
    previous_cursor: str | None


class PredictionBook:
    """The predictions and their charges. Listeners hear of each prediction whose end has moved or become known."""

    def __init__(self, log: RecordLog, ledger: ChargeLedger) -> None:
        self._log = log
        self._ledger = ledger
        self._by_id: dict[str, Prediction] = {}
        self._in_order: list[Prediction] = []
        self._listeners: list[Callable[[Prediction], None]] = []
        log.subscribe("prediction", self._replay_created)
        log.subscribe("prediction_canceled", self._replay_canceled)
        log.subscribe("prediction_worked", self._replay_worked)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._in_order)

    def __len__(self) -> int:
        return len(self._in_order)

    def listen(self, listener: Callable[[Prediction], None]) -> None:
        """Call this with every prediction that is created, canceled or whose work is done."""
        self._listeners.append(listener)

    def get(self, prediction_id: str) -> Prediction | None:
        """The prediction of this id."""
        return self._by_id.get(prediction_id)

    def create(self, prediction: Prediction) -> None:
        """Accept a prediction: from here on it exists and is charged."""
        self._log.append("prediction", _record(prediction))
        self._enter(prediction)
        self._tell(prediction)

    def cancel(self, prediction: Prediction, now: float) -> None:
        """Cancel it unless it is final already."""
        if prediction.phase(now).is_final:
            return
        prediction.canceled_at = now
        self._log.append("prediction_canceled", {"id": prediction.id, "at": now})
        self._tell(prediction)

    def finish_work(
        self, prediction: Prediction, now: float, *, references: tuple[str, ...] = (), error: str | None = None
    ) -> None:
        """Note that its input pictures are fetched and its drawings painted, or why that failed."""
        prediction.work_done_at, prediction.work_error, prediction.references = now, error, references
        self._log.append(
            "prediction_worked", {"id": prediction.id, "at": now, "references": references, "error": error}
        )
        self._tell(prediction)

    def page(self, cursor: str | None, keep: Callable[[Prediction], bool]) -> Page:
        """A page of those predictions that `keep` wants. Raises BadCursor."""
        end = len(self._in_order) if cursor is None else _read_cursor(cursor)
        found: list[Prediction] = []
        position = min(end, len(self._in_order))
        while position > 0 and len(found) < PAGE:
            position -= 1
            if keep(self._in_order[position]):
                found.append(self._in_order[position])
        more = any(keep(self._in_order[older]) for older in range(position - 1, -1, -1))
        previous = None if cursor is None else _write_cursor(min(end + PAGE, len(self._in_order)))
        return Page(found, _write_cursor(position) if more else None, previous)

    def erase(self) -> None:
        """Forget every prediction."""
        self._by_id.clear()
        self._in_order.clear()

    def _enter(self, prediction: Prediction) -> None:
        self._by_id[prediction.id] = prediction
        self._in_order.append(prediction)
        prompt = prediction.raw_prompt
        self._ledger.enter(
            Charge(
                job_id=prediction.id,
                provider="replicate",
                model=prediction.model,
                prompt_sha256=sha256(prompt.encode()).hexdigest(),
                user_id=prediction.input.get("user_id"),
                webhook=prediction.webhook,
                amount_usd=prediction.amount_usd,
                accepted_at=prediction.created_at,
                verdict=prediction,
                metered=prediction.amount if prediction.usd_per_second else None,
            )
        )

    def _tell(self, prediction: Prediction) -> None:
        for listener in self._listeners:
            listener(prediction)

    def _replay_created(self, record: Json) -> None:
        self._enter(_restored(record))

    def _replay_canceled(self, record: Json) -> None:
        self._by_id[record["id"]].canceled_at = record["at"]

    def _replay_worked(self, record: Json) -> None:
        prediction = self._by_id[record["id"]]
        prediction.work_done_at, prediction.work_error = record["at"], record["error"]
        prediction.references = tuple(record["references"])


_SAME_IN_RECORD = (
    "id",
    "model",
    "version",
    "input",
    "created_at",
    "queue_s",
    "duration_s",
    "plan",
    "fate",
    "amount_usd",
    "usd_per_second",
    "token_counts",
    "deadline_at",
    "webhook",
    "webhook_events",
    "deployment",
    "fault_header",
    "work_done_at",
)


def _record(prediction: Prediction) -> Json:
    return {field: getattr(prediction, field) for field in _SAME_IN_RECORD}


def _restored(record: Json) -> Prediction:
    fields: dict[str, Any] = dict(record)
    fields["plan"] = PicturePlan(**record["plan"])
    fields["fate"] = Fate(**record["fate"])
    fields["token_counts"] = tuple(record["token_counts"]) if record["token_counts"] else None
    fields["webhook_events"] = tuple(record["webhook_events"])
    return Prediction(**fields)


def _write_cursor(position: int) -> str:
    return base64.urlsafe_b64encode(b"p=%d" % position).decode().rstrip("=")


def _read_cursor(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        return int(text.removeprefix("p="))
    except (binascii.Error, ValueError) as error:
        raise BadCursor(cursor) from error
