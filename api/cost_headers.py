"""Headers that tell what a request costs, and what its caller may still spend."""

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import structlog
from fastapi.requests import HTTPConnection

from api.answer_headers import add_header
from contracts.budgets import BudgetOf
from db import budget_figures
from db.budget_figures import BudgetState
from db.engine import Database
from db.keys import Caller
from errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

COST: Final = "X-Cost-USD"
MOST: Final = "X-Cost-Max-USD"
LEFT: Final = "X-Budget-Left-USD"
# What the whole service may still spend is nobody's business but the operator's.
TOLD: Final = (BudgetOf.key, BudgetOf.tenant)
# Nobody is asked about at each request: what is left is remembered for as long as keys are.
REMEMBER_S: Final = 2.0
MAX_REMEMBERED: Final = 10_000


def _described(*names: str) -> dict[str, Any]:
    words = {
        COST: "What it has cost, once that is known: when it has ended.",
        MOST: "The price that was promised: it costs no more.",
        LEFT: "What was left of the nearest hard budget of your key or tenant, at most two seconds ago; absent without one.",
    }
    schema = {"type": "string", "pattern": r"^\d+\.\d{6}$", "examples": ["0.040000"]}
    return {name: {"description": words[name], "schema": schema} for name in names}


# The `headers` of an answer in the OpenAPI document.
DOCUMENTED: Final = _described(COST, MOST, LEFT)


def tell_cost(connection: HTTPConnection, *, cost_usd: Decimal | None = None, most_usd: Decimal | None = None) -> None:
    """Send these with the answer, whichever it will be; None is not told."""
    for name, usd in ((COST, cost_usd), (MOST, most_usd)):
        if usd is not None:
            add_header(connection.scope, name, money(usd))


def money(usd: Decimal) -> str:
    """USD to a millionth."""
    return f"{usd:.6f}"


class BudgetRoom:
    """What a caller may still spend, by the hard budgets of its key and tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # By tenant and key: until when it is good, and what was left.
        self._remembered: dict[tuple[str, str], tuple[float, Decimal | None]] = {}

    async def tell(self, connection: HTTPConnection, caller: Caller) -> None:
        """Send with the answer what is left. A database that is away keeps nobody from an answer that is there already."""
        try:
            left = await self.left_usd(caller)
        except DatabaseUnavailable:
            log.warning("budget_room.postponed")
            return
        if left is not None:
            add_header(connection.scope, LEFT, money(left))

    async def left_usd(self, caller: Caller) -> Decimal | None:
        """What was left of the nearest budget at most two seconds ago; None: there was none. Raises DatabaseUnavailable."""
        who = (str(caller.tenant_id), caller.key_id)
        good_until, left = self._remembered.get(who, (0.0, None))
        if good_until > time.monotonic():
            return left
        async with self._database.statement() as session:
            found = await budget_figures.rooms(session, tenant_id=caller.tenant_id, key_id=caller.key_id)
        left = min((state.left_usd for state in _told(found)), default=None)
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[who] = (time.monotonic() + REMEMBER_S, left)
        return left


def _told(found: Sequence[BudgetState]) -> list[BudgetState]:
    return [state for state in found if state.budget.of in TOLD]
