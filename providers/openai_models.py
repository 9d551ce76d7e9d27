"""What OpenAI says of its models: when they are shut down."""

from pydantic import SecretStr

from providers.catalog_refresh import Published
from providers.model_entry import ModelEntry
from providers.openai_checks import OpenAIChecks


class OpenAIModels:
    """OpenAI tells when a model is shut down, and nothing of its inputs."""

    def __init__(self, *, key: SecretStr, base_url: str) -> None:
        self._checks = OpenAIChecks(key=key, base_url=base_url)

    async def published(self, entry: ModelEntry) -> Published:
        """The shutdown date. Raises ModelGone, ProviderError."""
        return Published(shutdown=await self._checks.shutdown_date(entry.model))

    async def close(self) -> None:
        """Give connections back."""
        await self._checks.close()
