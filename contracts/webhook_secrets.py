"""The secrets that webhooks are signed with: made anew whenever they are needed, by the API and by the worker, and never kept."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from uuid import UUID

# How long messages are signed with the replaced secret, too.
OVERLAP = timedelta(hours=24)


class WebhookSecrets:
    """Secrets of webhook endpoints, derived from this service's own secret."""

    def __init__(self, token_secret: str) -> None:
        self._key = token_secret.encode()

    def secret(self, endpoint_id: UUID, version: int) -> str:
        """`whsec_` and 32 bytes in base64: the form that Standard Webhooks libraries take."""
        derived = hmac.digest(self._key, f"webhook-endpoint/{endpoint_id}/{version}".encode(), hashlib.sha256)
        return f"whsec_{base64.b64encode(derived).decode()}"

    def valid_at(
        self, moment: datetime, endpoint_id: UUID, version: int, previous_until: datetime | None
    ) -> tuple[str, ...]:
        """The secrets that a message of this moment is signed with, the newest first."""
        newest = self.secret(endpoint_id, version)
        if version > 1 and previous_until is not None and moment < previous_until:
            return newest, self.secret(endpoint_id, version - 1)
        return (newest,)
