"""What costs nothing: the balance, and the models on sale."""

from dataclasses import dataclass

from sandbox.answers import Answer, json_answer
from sandbox.charges import ChargeLedger
from sandbox.clock import SandboxClock
from sandbox.getimg.errors import error
from sandbox.getimg.models import Model, Range
from sandbox.json_text import Json
from sandbox.wire import Call

DEPOSIT_USD = 1_000_000.0
"""Nobody spends that in a test."""


@dataclass(frozen=True, slots=True)
class AccountRoutes:
    """The handlers."""

    clock: SandboxClock
    ledger: ChargeLedger
    on_sale: Range

    async def balance(self, _: Call) -> Answer:
        """GET /v2/billing/balance."""
        return json_answer({"balance": f"{self._left_usd():.2f}", "currency": "USD"})

    async def old_balance(self, _: Call) -> Answer:
        """GET /v1/account/balance."""
        return json_answer({"amount": round(self._left_usd(), 2), "currency": "usd"})

    async def models(self, _: Call) -> Answer:
        """GET /v2/models: a plain list."""
        return json_answer([_as_json(model) for model in self.on_sale.models.values()])

    async def model(self, call: Call) -> Answer:
        """GET /v2/models/{id}."""
        model = self.on_sale.models.get(call.path["id"])
        if model is None:
            return error(404, "not_found", f"Unknown model '{call.path['id']}'.", param="model")
        return json_answer(_as_json(model))

    def _left_usd(self) -> float:
        spent: float = self.ledger.summary("getimg", self.clock.now())["total_usd"]
        return DEPOSIT_USD - spent


def _as_json(model: Model) -> Json:
    rate = {
        "billable_unit": "image",
        "resolution": None,
        "sound": "not_applicable",
        "unit_price": str(model.usd),
    }
    return {
        "id": model.id,
        "name": model.name,
        "type": "image",
        "created_at": "2026-02-01T00:00:00.000Z",
        "pricing": {"currency": "USD", "rates": [rate]},
        "supported_aspect_ratios": sorted({ratio for ratios in model.sizes.values() for ratio in ratios}),
        "supported_durations": [],
        "supported_references": {"reference_image": model.references},
        "supported_resolutions": list(model.sizes),
        "supports_sound": False,
    }
