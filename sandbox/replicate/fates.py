"""What the faults that strike a create make of the prediction: the error strings that Replicate is known to give."""

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

from sandbox.faults import Fault
from sandbox.replicate.predictions import Fate

FLAGGED: Final = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
NSFW: Final = "NSFW content detected. Try running it again, or try a different prompt."
"""What open models say when their own checker blacked out every picture."""
OUT_OF_MEMORY: Final = (
    "CUDA out of memory. Tried to allocate 4.00 GiB. GPU 0 has a total capacity of 14.56 GiB of which 3.47 GiB is free."
)
_FATES: Final[Mapping[str, Fate]] = {
    "empty_output": Fate(empty=True),
    "interrupted": Fate("failed", "Prediction interrupted; please retry (code: PA)", billed=False, portion=0.5),
    "infra_error": Fate("failed", "Director: unexpected error handling prediction (E9828)", billed=False, portion=0.5),
    "out_of_memory": Fate(
        "failed", "The model ran out of memory. Please try a smaller input. (E1001)", billed=False, portion=0.5
    ),
    "stuck": Fate(portion=math.inf),
    "abort": Fate("aborted", billed=False),
}


def fate_of(faults: Sequence[Fault], refused_category: str | None, *, is_community: bool = False) -> Fate:
    """The fate of a prediction that these faults strike, or whose prompt is refused for a policy category.

    Community models come as their authors wrote them: they run before they refuse, and their errors are Python's.
    """
    if is_community:
        return _community_fate(faults, refused_category)
    for fault in faults:
        if fault.name in _FATES:
            return _FATES[fault.name]
        if fault.name == "input_policy":
            return _flagged(at_input=True)
        if fault.name == "output_policy":
            return _flagged(at_input=False)
        if fault.name == "model_error":
            return Fate("failed", fault.text("message", "RuntimeError: sandbox model error"), billed=False)
    return _flagged(at_input=True) if refused_category else Fate()


def _community_fate(faults: Sequence[Fault], refused_category: str | None) -> Fate:
    names = {fault.name for fault in faults}
    if refused_category or names & {"input_policy", "output_policy"}:
        return Fate("failed", NSFW, billed=True)
    if "out_of_memory" in names:
        return Fate("failed", OUT_OF_MEMORY, billed=False, portion=0.5)
    return fate_of(faults, None)


def _flagged(*, at_input: bool) -> Fate:
    # The real strings end in an opaque reference of a few letters.
    error = f"{FLAGGED} ({secrets.token_urlsafe(6)})"
    return Fate("failed", error, billed=not at_input, portion=0.0 if at_input else 1.0)
