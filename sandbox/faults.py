"""Faults on demand: by a marker in the prompt, by a request header, or armed by an admin.

A marker reads `[[sandbox fault=NAME key=value ...]]`. It may also just set a job's times: `[[sandbox duration=0.5 queue=1]]`.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from sandbox.json_text import Json
from sandbox.record_log import RecordLog

FAULT_HEADER: Final = "x-sandbox-fault"
OPERATIONS: Final = frozenset({"create", "get", "cancel", "list", "delivery", "webhook", "other"})
USUAL_OPERATION: Final[Mapping[str, str]] = {
    # How a request is answered.
    "lost_response": "create",
    "reset_before_accept": "create",
    "rate_limited": "create",
    "low_credit": "create",
    "insufficient_credit": "create",
    "unauthenticated": "create",
    "model_gone": "create",
    "input_refused": "create",
    "server_error": "create",
    "slow_answer": "create",
    # How a job goes.
    "input_policy": "create",
    "output_policy": "create",
    "empty_output": "create",
    "interrupted": "create",
    "infra_error": "create",
    "out_of_memory": "create",
    "model_error": "create",
    "stuck": "create",
    "abort": "create",
    "slow_start": "create",
    "dear": "create",
    # How a picture arrives.
    "slow_download": "delivery",
    "cut_download": "delivery",
    "corrupt_image": "delivery",
    "wrong_size": "delivery",
    "delivery_404": "delivery",
    # How a webhook behaves.
    "webhook_duplicate": "webhook",
    "webhook_late": "webhook",
    "webhook_out_of_order": "webhook",
    "webhook_drop": "webhook",
    "webhook_bad_signature": "webhook",
}
_MARKER: Final = re.compile(r"\s*\[\[\s*sandbox\s+([^\]]*)\]\]")


class UnknownFault(ValueError):
    """A fault, operation or value that the sandbox does not know. `word` is what was asked for."""

    def __init__(self, word: str) -> None:
        super().__init__(f"the sandbox knows no fault, operation or value {word!r}")
        self.word = word


@dataclass(frozen=True, slots=True)
class Fault:
    """One misbehaviour. `times` None means always; `match` is a part of the prompt, empty for any."""

    name: str
    operation: str
    provider: str = "any"
    match: str = ""
    times: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    armed_id: str = ""

    def number(self, key: str, default: float) -> float:
        """A parameter as a number. Raises UnknownFault when it is none."""
        value = self.params.get(key)
        if value is None:
            return default
        try:
            return float(value)
        except ValueError as error:
            raise UnknownFault(f"{key}={value}") from error

    def text(self, key: str, default: str) -> str:
        """A parameter as text."""
        return self.params.get(key, default)


@dataclass(frozen=True, slots=True)
class Directions:
    """What a prompt says to the sandbox, and the prompt without it."""

    prompt: str
    faults: tuple[Fault, ...] = ()
    duration_s: float | None = None
    queue_s: float | None = None


def make_fault(
    name: str, params: Mapping[str, str], *, provider: str = "any", match: str = "", armed_id: str = ""
) -> Fault:
    """A fault from its name and parameters; `operation` and `times` are taken out of the parameters. Raises UnknownFault."""
    rest = dict(params)
    if name not in USUAL_OPERATION:
        raise UnknownFault(name)
    operation = rest.pop("operation", USUAL_OPERATION[name])
    times = rest.pop("times", None)
    if operation not in OPERATIONS:
        raise UnknownFault(operation)
    if times is not None and not times.isdecimal():
        raise UnknownFault(f"times={times}")
    return Fault(name, operation, provider, match, None if times is None else int(times), rest, armed_id)


def read_words(words: str) -> tuple[str | None, dict[str, str]]:
    """`fault=NAME key=value` or `NAME key=value` as the fault's name (None without one) and its parameters."""
    params: dict[str, str] = {}
    name: str | None = None
    for word in words.split():
        key, equals, value = word.partition("=")
        if not equals:
            name = key
        elif key == "fault":
            name = value
        else:
            params[key] = value
    return name, params


def read_directions(prompt: str) -> Directions:
    """Take the markers out of a prompt. Raises UnknownFault for a marker that asks for what is not there."""
    if "[[" not in prompt:
        return Directions(prompt)
    faults: list[Fault] = []
    times: dict[str, float | None] = {"duration": None, "queue": None}
    for words in _MARKER.findall(prompt):
        name, params = read_words(words)
        if name is not None:
            faults.append(make_fault(name, params))
            continue
        for key in params:
            if key not in times:
                raise UnknownFault(key)
            times[key] = Fault("", "", params=params).number(key, 0.0)
    return Directions(_MARKER.sub("", prompt).strip(), tuple(faults), times["duration"], times["queue"])


class FaultBoard:
    """The armed faults, and how often each fault has struck. Both outlive a restart."""

    def __init__(self, log: RecordLog) -> None:
        self._log = log
        self._armed: dict[str, Fault] = {}
        self._struck: Counter[str] = Counter()
        self._ids = itertools.count(1)
        log.subscribe("fault_armed", self._replay_armed)
        log.subscribe("fault_struck", lambda record: self._struck.update([str(record["key"])]))
        log.subscribe("faults_disarmed", lambda _: self._armed.clear())

    @property
    def idle(self) -> bool:
        """Whether no admin fault is armed."""
        return not self._armed

    def arm(self, name: str, params: Mapping[str, str], *, provider: str, match: str) -> Fault:
        """Arm a fault for requests to come. Raises UnknownFault."""
        fault = make_fault(name, params, provider=provider, match=match, armed_id=f"armed-{next(self._ids)}")
        self._armed[fault.armed_id] = fault
        self._log.append(
            "fault_armed",
            {"id": fault.armed_id, "name": name, "params": dict(params), "provider": provider, "match": match},
        )
        return fault

    def disarm(self) -> None:
        """Drop all armed faults."""
        self._armed.clear()
        self._log.append("faults_disarmed", {})

    def armed(self) -> list[Json]:
        """The armed faults with how often each has struck."""
        return [
            {
                "id": fault.armed_id,
                "fault": fault.name,
                "operation": fault.operation,
                "provider": fault.provider,
                "match": fault.match,
                "times": fault.times,
                "params": dict(fault.params),
                "struck": self._struck[fault.armed_id],
            }
            for fault in self._armed.values()
        ]

    def strike(self, provider: str, operation: str, prompt: str, own: Iterable[Fault]) -> tuple[Fault, ...]:
        """The faults that hit this request now: its `own` (marker, header) and the armed ones. Each counts as used once."""
        hits = [fault for fault in own if fault.operation == operation and self._use(fault, prompt)]
        for fault in self._armed.values():
            fits = fault.operation == operation and fault.provider in ("any", provider) and fault.match in prompt
            if fits and self._use(fault, prompt):
                hits.append(fault)
        return tuple(hits)

    def erase(self) -> None:
        """Forget armed faults and counts."""
        self._armed.clear()
        self._struck.clear()

    def _use(self, fault: Fault, prompt: str) -> bool:
        if fault.times is None and not fault.armed_id:
            return True
        key = fault.armed_id or f"{fault.name}:{fault.operation}:{sha256(prompt.encode()).hexdigest()}"
        if fault.times is not None and self._struck[key] >= fault.times:
            return False
        self._struck[key] += 1
        self._log.append("fault_struck", {"key": key})
        return True

    def _replay_armed(self, record: Json) -> None:
        number = int(str(record["id"]).removeprefix("armed-"))
        self._ids = itertools.count(number + 1)
        self._armed[record["id"]] = make_fault(
            record["name"], record["params"], provider=record["provider"], match=record["match"], armed_id=record["id"]
        )
