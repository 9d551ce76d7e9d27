"""Settings from the environment (DIORAMA_*) or a .env file: read by the composition roots only; secrets have no defaults.

A secret may also lie in a file: DIORAMA_TOKEN_SECRET_FILE names the one with DIORAMA_TOKEN_SECRET in it, and so for all.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from contracts.key_ring import KeyRing
from errors import ConfigurationError

PREFIX: Final = "DIORAMA_"
# No secrets by their type, and yet with one in them or beside them.
WITH_SECRETS: Final = frozenset({"database_url", "store_access_key"})


class Settings(BaseSettings):
    """All that a Diorama process can be told. Times in seconds, money in USD."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", frozen=True, extra="ignore")

    database_url: str = Field(pattern=r"^postgresql\+asyncpg://")
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    payload_keys: SecretStr | None = Field(
        default=None,
        description="id:base64,... keys of 32 bytes that encrypt what the engine keeps; the first encrypts.",
    )
    codec_token: SecretStr | None = Field(
        default=None, min_length=16, description="What `diorama codec` wants to be shown by its clients."
    )
    store_endpoint: str = Field(pattern=r"^https?://")
    store_access_key: str
    store_secret_key: SecretStr
    store_bucket: str = "diorama"
    store_public_url: str | None = Field(default=None, description="Where clients and providers reach the store.")

    api_host: str = "127.0.0.1"
    api_port: int = 8000
    trusted_proxies: str = Field(
        default="127.0.0.1", description="address,... or network,... whose X-Forwarded-For says where clients are."
    )
    public_url: str | None = Field(default=None, description="Where providers reach the API with their webhooks.")
    api_key_pepper: SecretStr = Field(min_length=16)
    token_secret: SecretStr = Field(min_length=16)
    credential_keys: SecretStr | None = Field(
        default=None,
        description="id:base64,... keys of 32 bytes that seal tenants' own provider keys; the first seals.",
    )
    cors_origins: str = Field(default="", description="Origins of web pages that may call the API, comma-separated.")
    hsts_days: int = Field(default=0, ge=0, le=730, description="Browsers use https alone for so long; 0: not told so.")
    prompt_moderation: Literal["offline", "openai"] = "offline"
    image_url_hosts: str = Field(default="", description="host:port,... that may be fetched although not public.")
    webhook_hosts: str = Field(default="", description="host:port,... that webhooks may go to although not public.")

    replicate_api_token: SecretStr | None = None
    replicate_base_url: str = "https://api.replicate.com"
    replicate_webhook_secret: SecretStr | None = None
    replicate_creates_per_minute: int = 600  # the documented limit of an account with a card
    replicate_reads_per_minute: int = 3000  # the documented limit
    replicate_submit_timeout_s: float = Field(default=30.0, gt=0, le=120)
    openai_api_key: SecretStr | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    openai_creates_per_minute: int = 150
    rewrite_model: str | None = Field(
        default=None,
        max_length=100,
        description="OpenAI's language model that rewrites prompts which a provider refused; none: rules do.",
    )
    getimg_api_key: SecretStr | None = None
    getimg_base_url: str = "https://api.getimg.ai"
    getimg_creates_per_minute: int = 20  # seen on a new account; the dashboard shows an account's own
    wavespeed_api_key: SecretStr | None = None
    wavespeed_base_url: str = "https://api.wavespeed.ai"
    wavespeed_webhook_secret: SecretStr | None = None
    wavespeed_creates_per_minute: int = 500  # documented, for accounts that have topped up 100 USD; new ones have 2

    catalog_overrides: Path | None = Field(
        default=None, description="TOML with rows that change the shipped catalog of models, or add to it."
    )
    review_above_usd: Decimal = Field(
        default=Decimal("0.50"), description="An unknown purchase above it waits for people."
    )
    reconcile_every_s: int = Field(default=60, ge=5, le=3600)
    reconcile_grace_s: int = Field(
        default=900, ge=5, description="What has not moved for so long, and belongs to nobody who works, is astray."
    )
    keep_pictures_days: int | None = Field(default=None, ge=1, description="Age at which pictures are removed.")
    keep_deleted_hours: int = Field(default=0, ge=0, description="How long pictures of deleted sessions are kept.")
    abandoned_session_days: int | None = Field(
        default=None, ge=1, description="A session without a new generation for so long loses its pictures."
    )
    worker_health_port: int = 9464
    worker_engine_metrics_port: int | None = Field(default=None, description="Temporal's own worker metrics.")
    worker_grace_s: float = 10.0
    worker_pictures_in_flight: int = 2000
    worker_deployment: str = Field(default="diorama", pattern=r"^[A-Za-z0-9_-]{1,100}$")
    worker_build_id: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._+-]{1,100}$", description="The worker's release; runs stay with theirs."
    )
    worker_promotes_itself: bool = Field(default=False, description="A release's first worker gives it the new runs.")
    full_store_patience_s: float = Field(
        default=60.0, ge=0, description="How long after its deadline a finished picture waits for room in the store."
    )
    moderate_outputs: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="A finished picture of this score for nudity, or a higher one, is not kept.",
    )
    picture_heartbeat_s: int = Field(default=20, ge=2, description="An attempt that is silent for so long is dead.")
    crash_lab: Path | None = Field(default=None, description="Folder of the crash lab; never set it elsewhere.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_vendor_text: bool = Field(
        default=False, description="Log what providers say to failures in their own words, which may repeat the prompt."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before .env, as usual, and the files that either of them names."""
        return init_settings, _SecretFiles(settings_cls, env_settings, dotenv_settings), env_settings, dotenv_settings

    @property
    def providers(self) -> frozenset[str]:
        """The providers that have a key here."""
        keys = {
            "replicate": self.replicate_api_token,
            "openai": self.openai_api_key,
            "getimg": self.getimg_api_key,
            "wavespeed": self.wavespeed_api_key,
        }
        return frozenset(name for name, key in keys.items() if key is not None and key.get_secret_value())

    def creates_per_minute(self, provider: str, *, otherwise: int) -> int:
        """The configured purchases a minute of a provider; `otherwise` when there is no setting for it."""
        limit: int = getattr(self, f"{provider}_creates_per_minute", otherwise)
        return limit

    @property
    def payload_key_ring(self) -> KeyRing | None:
        """The keys that the engine's payloads are encrypted by. Raises ConfigurationError."""
        if self.payload_keys is None or not self.payload_keys.get_secret_value():
            return None
        return KeyRing.parse(self.payload_keys.get_secret_value(), setting="DIORAMA_PAYLOAD_KEYS")

    @property
    def credential_key_ring(self) -> KeyRing | None:
        """The keys that tenants' own provider keys are sealed by. Raises ConfigurationError."""
        if self.credential_keys is None or not self.credential_keys.get_secret_value():
            return None
        return KeyRing.parse(self.credential_keys.get_secret_value(), setting="DIORAMA_CREDENTIAL_KEYS")

    @property
    def page_origins(self) -> tuple[str, ...]:
        """The origins (`https://host`, with a port where it is not the usual one) whose pages may call the API."""
        return tuple(origin.strip().rstrip("/") for origin in self.cors_origins.split(",") if origin.strip())

    @property
    def private_image_hosts(self) -> frozenset[str]:
        """`host:port` pairs that image URLs may point to although they are not public."""
        return _hosts(self.image_url_hosts)

    @property
    def private_webhook_hosts(self) -> frozenset[str]:
        """`host:port` pairs that webhooks may be sent to although they are not public."""
        return _hosts(self.webhook_hosts)


class _SecretFiles(PydanticBaseSettingsSource):
    """The secrets that lie in files which the environment or .env names."""

    def __init__(self, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        variables = {
            name: text
            for source in reversed(sources)
            if isinstance(source, EnvSettingsSource)
            for name, text in source.env_vars.items()
        }
        prefix = PREFIX.lower()
        self._given = {name.removeprefix(prefix): text for name, text in variables.items() if name.startswith(prefix)}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Asked by nobody: all are read at once."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """Raises ConfigurationError."""
        return secrets_in_files(self._given)


def secrets_in_files(given: Mapping[str, str | None]) -> dict[str, str]:
    """The secrets that lie in files: for `token_secret_file` in `given`, the file's text as `token_secret`.

    Names are without prefix and in small letters. Spaces and line ends around a secret do not count. Raises
    ConfigurationError: a file cannot be read, or a secret is given twice.
    """
    found: dict[str, str] = {}
    for name, field in Settings.model_fields.items():
        path = given.get(f"{name}_file")
        if not path or not _is_secret(name, field):
            continue
        variable = f"{PREFIX}{name.upper()}"
        if given.get(name):
            raise ConfigurationError(f"{variable} and {variable}_FILE are both set: one of them is enough.")
        try:
            found[name] = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigurationError(f"The file of {variable}_FILE cannot be read: {why}.") from None
    return found


def _is_secret(name: str, field: FieldInfo) -> bool:
    return name in WITH_SECRETS or SecretStr in {field.annotation, *get_args(field.annotation)}


def _hosts(text: str) -> frozenset[str]:
    return frozenset(host.strip() for host in text.split(",") if host.strip())


def load_settings() -> Settings:
    """The settings of this process. Raises ConfigurationError naming each variable that is missing or wrong."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(explain(error)) from None  # the original shows values, and a value may be a secret


def explain(error: ValidationError) -> str:
    """One line per wrong variable: its name, what is wrong, and where to set it; never its value."""
    lines = [
        f"DIORAMA_{str(problem['loc'][0]).upper()} "
        + ("is not set" if problem["type"] == "missing" else f"is not usable: {problem['msg']}")
        for problem in error.errors(include_input=False, include_url=False)
    ]
    where = "Set it in the environment or in a .env file; `diorama up` starts a local stack that sets all of them."
    return "\n".join([*lines, where])
