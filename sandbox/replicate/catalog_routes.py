"""Models, the account and the webhook secret."""

from dataclasses import dataclass

from sandbox.answers import Answer, json_answer
from sandbox.json_text import Json
from sandbox.keys import Keys
from sandbox.models import ModelTable, ReplicateModel
from sandbox.replicate.errors import not_found
from sandbox.wire import Call

MODEL_CREATED_AT = "2026-09-08T00:00:00.000000Z"


@dataclass(frozen=True, slots=True)
class CatalogRoutes:
    """The handlers."""

    models: ModelTable
    keys: Keys

    async def model(self, call: Call) -> Answer:
        """GET /v1/models/{owner}/{name}."""
        model = self.models.replicate.get(f"{call.path['owner']}/{call.path['name']}")
        return json_answer(_model_json(model)) if model else not_found()

    async def version(self, call: Call) -> Answer:
        """GET /v1/models/{owner}/{name}/versions/{version}."""
        model = self.models.replicate.get(f"{call.path['owner']}/{call.path['name']}")
        if model is None or model.version is None or model.version != call.path["version"]:
            return not_found()
        return json_answer(_version_json(model))

    async def account(self, _: Call) -> Answer:
        """GET /v1/account."""
        return json_answer({"type": "organization", "username": "diorama-sandbox", "name": "Diorama sandbox"})

    async def webhook_secret(self, _: Call) -> Answer:
        """GET /v1/webhooks/default/secret."""
        return json_answer({"key": self.keys.webhook_secret})


def _model_json(model: ReplicateModel) -> Json:
    return {
        "url": f"https://replicate.com/{model.full_name}",
        "owner": model.owner,
        "name": model.name,
        "description": model.description,
        "visibility": "public",
        "is_official": model.version is None,
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 1,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": _version_json(model),
    }


def _version_json(model: ReplicateModel) -> Json:
    output: Json = {"type": "string", "format": "uri"}
    schemas = {
        "Input": {"title": "Input", **model.schema},
        "Output": {"title": "Output", **(output if model.single_output else {"type": "array", "items": output})},
    }
    return {
        "id": model.version or "hidden",
        "created_at": MODEL_CREATED_AT,
        "cog_version": "0.16.0",
        "openapi_schema": {"openapi": "3.0.2", "info": {"title": "Cog"}, "components": {"schemas": schemas}},
    }
