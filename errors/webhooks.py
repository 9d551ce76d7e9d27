"""Webhooks of both directions: those of providers to us, and ours to places that clients name."""

from errors.base import DioramaError
from errors.requests import RequestError


class WebhookRejected(RequestError):
    """A provider webhook without a valid signature or token, or too old."""

    code = "webhook_rejected"
    title = "The webhook could not be verified"


class UrlForbidden(RequestError):
    """A URL's scheme, port or address is not allowed: nothing may be sent there."""

    code = "url_forbidden"
    title = "The URL points to a place that we do not connect to"
    suggestion = "Use an https URL on a public host, on port 443."


class HostUnreachable(DioramaError):
    """A host that a client named cannot be found, or does not answer as a web server does."""

    code = "host_unreachable"
    title = "A host that a client named does not answer"
    retryable = True


class TooManyWebhookEndpoints(RequestError):
    """The tenant has as many webhook endpoints as it may have; `most` says how many."""

    code = "too_many_webhook_endpoints"
    title = "There are as many webhook endpoints as there may be"
    suggestion = "Delete one that is not needed any more, or change one."


class WebhookEndpointDisabled(RequestError):
    """Nothing is sent to an endpoint that is disabled."""

    code = "webhook_endpoint_disabled"
    title = "The webhook endpoint is disabled"
    suggestion = "Enable the endpoint first."


class WebhookSecretChanged(RequestError):
    """The secret to be replaced is not the newest one; `secret_version` says which is."""

    code = "webhook_secret_changed"
    title = "The webhook secret was replaced meanwhile"
    suggestion = "Read the endpoint, and replace the version that it has now."
