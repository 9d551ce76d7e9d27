"""Going on to another provider, told to people."""

from contracts.pictures import Candidate
from contracts.wishes import Adjustment
from errors import error_class


def failover_told(code: str, left: Candidate, chosen: Candidate) -> str:
    """Why the picture is made by somebody else now, and what will be different about it; `code` is the failure's."""
    why = error_class(code).title
    who = chosen.provider if chosen.provider != left.provider else f"its model {chosen.model}"
    told = f"{why} ({left.provider}), so {who} makes this picture now."
    different = ", ".join(_told(adjustment) for adjustment in chosen.adjustments)
    return f"{told} What will be different: {different}." if different else told


def _told(adjustment: Adjustment) -> str:
    name = adjustment.parameter.replace("_", " ")
    return f"{name} is left out" if adjustment.given is None else f"{name} is {adjustment.given}"
