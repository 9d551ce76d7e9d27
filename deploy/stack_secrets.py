"""The secrets of a stack: random, made once, kept in ROOT/secrets.json for the owner's eyes only."""

import base64
import secrets

from pydantic import BaseModel, ConfigDict, Field


def _token() -> str:
    return secrets.token_urlsafe(32)


def _access_key() -> str:
    return secrets.token_hex(10)


def _webhook_secret() -> str:
    # Standard Webhooks: "whsec_" and 24 to 64 random bytes in base64.
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _api_key() -> str:
    return f"dio_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


class StackSecrets(BaseModel):
    """A field that an older file lacks is made when the file is read, and written back."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    postgres_password: str = Field(default_factory=_token)
    store_access_key: str = Field(default_factory=_access_key)
    store_secret_key: str = Field(default_factory=_token)
    api_key_pepper: str = Field(default_factory=_token)
    token_secret: str = Field(default_factory=_token)
    replicate_api_token: str = Field(default_factory=lambda: f"r8_{secrets.token_hex(18)}")
    openai_api_key: str = Field(default_factory=lambda: f"sk-{secrets.token_hex(24)}")
    getimg_api_key: str = Field(default_factory=lambda: f"sk_{secrets.token_hex(24)}")
    wavespeed_api_key: str = Field(default_factory=lambda: f"wsk_{secrets.token_hex(24)}")
    webhook_secret: str = Field(default_factory=_webhook_secret)
    bootstrap_api_key: str = Field(default_factory=_api_key)
