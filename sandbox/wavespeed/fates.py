"""What the faults that strike a create make of the task, with the codes of WaveSpeed's page of error codes."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from sandbox.faults import Fault
from sandbox.wavespeed.tasks import Fate

MODERATED: Final = 1200
MEDIA_FAILED: Final = 1402
_SENSITIVE: Final = "The content contains sensitive information."
_FATES: Final[Mapping[str, Fate]] = {
    "input_policy": Fate(failed=True, code=MODERATED, error=_SENSITIVE, portion=0.0),
    "output_policy": Fate(nsfw=True),
    "empty_output": Fate(empty=True),
    "interrupted": Fate(failed=True, code=5003, error="The service is temporarily unavailable.", portion=0.5),
    "infra_error": Fate(failed=True, code=5000, error="An internal error occurred.", portion=0.5),
    "out_of_memory": Fate(failed=True, code=5004, error="The request timed out.", portion=0.5),
    "abort": Fate(failed=True, code=5003, error="The service is temporarily unavailable.", portion=0.0),
    "stuck": Fate(portion=math.inf),
}


def fate_of(faults: Sequence[Fault], refused_category: str | None) -> Fate:
    """The fate of a task that these faults strike, or whose prompt is refused for a policy category."""
    for fault in faults:
        if fault.name in _FATES:
            return _FATES[fault.name]
        if fault.name == "model_error":
            return Fate(failed=True, code=1405, error=fault.text("message", "The task execution failed."), portion=0.5)
    return _FATES["input_policy"] if refused_category else Fate()
