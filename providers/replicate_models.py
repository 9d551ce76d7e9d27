"""What Replicate says of its models: the inputs of each version."""

import httpx
from pydantic import SecretStr

from errors import ModelGone, ProviderUnavailable
from providers.catalog_refresh import Published
from providers.http import HttpSettings, build_client
from providers.input_schema import InputSchema
from providers.model_entry import ModelEntry
from providers.read_call import ask
from providers.replicate_errors import probe_refusal

_MAX_ANSWER_BYTES = 8_000_000
_TIMEOUT_S = 20.0


class ReplicateModels:
    """Replicate describes the inputs of each model's version."""

    def __init__(self, *, key: SecretStr, base_url: str) -> None:
        self._client = build_client(base_url, key, HttpSettings())

    async def published(self, entry: ModelEntry) -> Published:
        """The inputs of the version that the row names, else of the latest. Raises ModelGone, ProviderError."""
        path = f"/v1/models/{entry.model}" + (f"/versions/{entry.version}" if entry.version else "")
        answer = await ask(
            self._client, self._client.build_request("GET", path), timeout_s=_TIMEOUT_S, max_bytes=_MAX_ANSWER_BYTES
        )
        if not answer.is_success:
            raise ModelGone() if answer.status == httpx.codes.NOT_FOUND else probe_refusal(answer)
        fields = answer.fields()
        version = fields if entry.version else fields.get("latest_version")
        schema = InputSchema.read(version.get("openapi_schema")) if isinstance(version, dict) else None
        if schema is None:
            raise ProviderUnavailable(reason="UnreadableAnswer")
        return Published(inputs=schema)

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()
