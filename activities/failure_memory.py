"""What a purchase failed of, as its row remembers it: the code, and the facts and words that a client may see."""

from typing import Any

from db.models import Spend
from errors import DioramaError, error_class

LONGEST_DETAIL = 500


def facts_to_keep(failure: DioramaError) -> dict[str, Any]:
    """The failure's detail and facts, as JSON; what is no plain word or number is left out."""
    facts = {name: fact for name, fact in failure.facts.items() if isinstance(fact, str | int | float | bool)}
    return {"detail": failure.detail[:LONGEST_DETAIL], **facts}


def remembered(spend: Spend) -> DioramaError:
    """The failure of a purchase that ended without a picture."""
    failure = error_class(spend.error_code or "")(**(spend.error_facts or {}))
    if spend.billed is not None:
        failure.billed = spend.billed.value
    return failure
