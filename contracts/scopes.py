"""What an API key may do."""

from enum import StrEnum
from typing import Final


class KeyScope(StrEnum):
    """`read`: look at what the tenant has; `generate`: order, cancel and delete; `admin`: the tenant's keys and budgets.

    An operator's key may do all of these, and decides for the service besides.
    """

    generate = "generate"
    read = "read"
    admin = "admin"


# What a key may do of which nothing else was said.
USUAL_SCOPES: Final = (KeyScope.generate, KeyScope.read)
ALL_SCOPES: Final = tuple(KeyScope)
