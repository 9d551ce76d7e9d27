"""GET /v1/models and /v1/models/{id}."""

from dataclasses import dataclass
from datetime import UTC, datetime, time

from sandbox.answers import Answer, json_answer
from sandbox.json_text import Json
from sandbox.models import ModelTable, OpenAIModel
from sandbox.openai.errors import model_not_found
from sandbox.openai.image_request import is_shut_down
from sandbox.wire import Call


@dataclass(frozen=True, slots=True)
class ModelRoutes:
    """The handlers. Models that were shut down are gone from both."""

    models: ModelTable

    async def list(self, call: Call) -> Answer:
        """All models that live at this moment."""
        living = [_as_json(model) for model in self.models.openai.values() if not is_shut_down(model, call.now)]
        return json_answer({"object": "list", "data": living})

    async def get(self, call: Call) -> Answer:
        """One model."""
        model = self.models.openai.get(call.path["id"])
        if model is None or is_shut_down(model, call.now):
            return model_not_found(call.path["id"])
        return json_answer(_as_json(model))


def _as_json(model: OpenAIModel) -> Json:
    return {
        "id": model.id,
        "object": "model",
        "created": int(datetime.combine(model.created, time(), UTC).timestamp()),
        "owned_by": "system",
        "shutdown_date": model.shutdown.isoformat() if model.shutdown else None,
    }
