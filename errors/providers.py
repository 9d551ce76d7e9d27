"""What a provider answered, in our words, and what keeps us from asking it."""

from typing import Any

from errors.base import Billed, DioramaError


class ProviderError(DioramaError):
    """A provider could not do what was asked."""

    code = "provider_error"
    title = "The image provider failed"

    def __init__(self, detail: str = "", *, billed: Billed | None = None, **facts: Any) -> None:
        super().__init__(detail, **facts)
        if billed is not None:  # the provider said so for this very case, e.g. a refusal after the picture was made
            self.billed = billed


class ProviderUnreachable(ProviderError):
    """The connection failed before the request was sent: nothing can have been bought."""

    code = "provider_unreachable"
    title = "The image provider cannot be reached"
    suggestion = "Send the request again, or name another provider: nothing was charged."
    retryable = True
    failover = True


class ProviderBusy(ProviderError):
    """Rate limited; `retry_after_s` says how long to wait (seconds)."""

    code = "provider_busy"
    title = "The image provider is busy"
    suggestion = "Send the request again in a minute, or name another provider."
    retryable = True
    failover = True

    def __init__(self, detail: str = "", *, retry_after_s: float = 1.0, **facts: Any) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **facts)
        self.retry_after_s = retry_after_s


class ProviderUnavailable(ProviderError):
    """A temporary fault at the provider, on a call that buys nothing."""

    code = "provider_unavailable"
    title = "The image provider has a temporary problem"
    suggestion = "Send the request again in a minute, or name another provider."
    retryable = True
    failover = True


class LanePaused(ProviderError):
    """An operator has paused this provider or model."""

    code = "lane_paused"
    title = "The image provider is paused by the operator"
    suggestion = "Choose another provider or model, or send the request again later."
    failover = True


class CircuitOpen(ProviderError):
    """This provider or model failed so often lately that nothing is bought from it for the moment."""

    code = "circuit_open"
    title = "The image provider fails at the moment"
    suggestion = "Choose another provider or model, or send the request again later."
    failover = True


class ProviderBudgetExhausted(ProviderError):
    """What may be spent at this provider is spent; another one may do."""

    code = "provider_budget_exhausted"
    title = "The service may spend nothing more at this image provider"
    suggestion = "The operator can raise the provider's budget; it is whole again with its next period."
    failover = True


class PromiseExhausted(ProviderError):
    """One more purchase would cost more than was promised for the generation; a cheaper model may fit."""

    code = "promise_exhausted"
    title = "The picture cannot be bought again for the price that was promised"
    suggestion = (
        "Allow more with max_cost_usd, or leave it out: a request has room for one failed purchase per picture."
    )
    failover = True


class PolicyRefused(ProviderError):
    """The safety filter refused the prompt or the picture; `category` and `stage` say which, where known."""

    code = "policy_refused"
    title = "The safety filter refused this picture"
    suggestion = "Describe the picture in other words, or use another image."


class ProviderRejectedInput(ProviderError):
    """The provider found a parameter it does not accept."""

    code = "provider_rejected_input"
    title = "The image provider did not accept the request"
    suggestion = "Try another size, quality or model."


class ProviderCredentials(ProviderError):
    """Our key at the provider is missing or refused."""

    code = "provider_credentials"
    title = "The service's credentials at the image provider are not accepted"
    suggestion = "The operator must check the provider's key."
    failover = True


class ProviderQuota(ProviderError):
    """Our account at the provider is out of money or over its limit."""

    code = "provider_quota"
    title = "The service's account at the image provider is out of budget"
    suggestion = "The operator must add budget at the provider."
    failover = True


class OwnKeyRefused(ProviderCredentials):
    """The provider does not accept the key that the tenant gave us: the operator can mend nothing there."""

    code = "own_key_refused"
    title = "Your own key at the image provider is not accepted"
    suggestion = "Replace the key that you gave for this provider, or remove it."


class OwnAccountEmpty(ProviderQuota):
    """The tenant's own account at the provider is out of money or over its limit."""

    code = "own_account_empty"
    title = "Your own account at the image provider is out of budget"
    suggestion = "Add budget at the provider, or remove the key that you gave for it."


class ModelGone(ProviderError):
    """The provider does not know the model (any more)."""

    code = "model_gone"
    title = "The model is not available"
    suggestion = "Choose another model."
    failover = True
