"""Proving that a webhook comes from the provider: each signs id, time and body, but not all with the same key and spelling."""

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from errors import ConfigurationError, WebhookRejected

MAX_AGE_S = 300  # of Standard Webhooks, and of WaveSpeed's own page


class WebhookVerifier(Protocol):
    """One provider's way to sign."""

    def verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Return when the raw body and the headers (any case) are the provider's. Raises WebhookRejected."""


class StandardSignature:
    """Standard Webhooks, as Replicate signs: HMAC-SHA256 in base64, under the decoded secret."""

    def __init__(self, secret: str) -> None:
        """Raises ValueError for a secret that is not of the form whsec_<base64>."""
        try:
            self._webhook = Webhook(secret)
        except EmptyWebhookSecretError:
            raise ValueError("the secret is empty") from None

    def verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Raises WebhookRejected."""
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):  # ValueError: headers or bytes of no form at all
            raise WebhookRejected from None


class WaveSpeedSignature:
    """WaveSpeed's own: `v3,<hex>`, HMAC-SHA256 under the secret without its prefix, taken as it is written."""

    def __init__(self, secret: str) -> None:
        """Raises ValueError for a secret without anything behind its prefix."""
        self._key = secret.removeprefix("whsec_").encode()
        if not secret.startswith("whsec_") or not self._key.strip():
            raise ValueError("the secret is empty, or has no prefix")

    def verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Raises WebhookRejected."""
        named = {name.lower(): value for name, value in headers.items()}
        message_id, moment, given = (named.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
        if not message_id or not moment.isascii() or not moment.isdecimal() or len(moment) > 12:
            raise WebhookRejected
        if abs(time.time() - int(moment)) > MAX_AGE_S:
            raise WebhookRejected
        signed = f"{message_id}.{moment}.".encode() + body
        wanted = "v3," + hmac.new(self._key, signed, sha256).hexdigest()
        # One signature a secret, while two are good; bytes, because a header may hold any character.
        if not any(hmac.compare_digest(wanted.encode(), one.encode()) for one in given.split()):
            raise WebhookRejected


_SIGNATURES: Mapping[str, type[StandardSignature] | type[WaveSpeedSignature]] = {
    "replicate": StandardSignature,
    "wavespeed": WaveSpeedSignature,
}


def make_verifiers(secrets: Mapping[str, SecretStr | None]) -> dict[str, WebhookVerifier]:
    """The verifiers of those providers whose secret is set. Raises ConfigurationError naming the one that is of no form."""
    verifiers: dict[str, WebhookVerifier] = {}
    for provider, secret in secrets.items():
        if secret is None or not secret.get_secret_value():
            continue
        try:
            verifiers[provider] = _SIGNATURES[provider](secret.get_secret_value())
        except ValueError:
            variable = f"DIORAMA_{provider.upper()}_WEBHOOK_SECRET"
            raise ConfigurationError(f"{variable} is not of the form whsec_<secret>.") from None
    return verifiers
