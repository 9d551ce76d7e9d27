"""Servers that we depend on, and the settings that lead to them."""

from errors.base import DioramaError


class ServiceUnavailable(DioramaError):
    """A server that we depend on is away; nothing was accepted."""

    code = "service_unavailable"
    title = "The service cannot accept this right now"
    retryable = True
    suggestion = "Send the same request again, with the same Idempotency-Key, after the time in Retry-After."


class DatabaseUnavailable(ServiceUnavailable):
    """PostgreSQL does not answer."""

    code = "database_unavailable"


class EngineUnavailable(ServiceUnavailable):
    """Temporal does not answer."""

    code = "engine_unavailable"


class ModerationUnavailable(ServiceUnavailable):
    """Whoever looks at prompts does not answer, and this tenant's are not accepted without a look."""

    code = "moderation_unavailable"
    title = "Prompts cannot be looked at right now"


class ConfigurationError(DioramaError):
    """A setting is missing or wrong; the message names it and says where to set it."""

    code = "configuration_error"
    title = "The configuration is not usable"
    suggestion = "The operator must set what the detail names, in the environment or in .env."
