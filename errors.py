"""Every error Diorama raises on purpose, as one tree.

    DioramaError
    ├── RequestError                the caller can mend it
    │   ├── InvalidRequest          UnknownTheme, UnknownModel, ModelRetired, UnsupportedSize, InvalidCursor
    │   │                           TooExpensive, UnsupportedParameter
    │   ├── ImageRejected           ImageUrlForbidden, ImageUnreachable, ImageTooLarge, ImageNotDecodable
    │   ├── Unauthenticated, NotFound, AlreadyFinal, NotRetryable, IdempotencyKeyReused, WebhookRejected
    │   ├── NotAnOperator, NotInReview, JobNotAdoptable, NoRoomToBuyAgain, ScopeMissing, TenantSuspended
    │   ├── BudgetExhausted, QuoteExpired, QuoteMismatch, QuoteUsed, PromptRefused
    │   ├── RateLimited, QueueFull, DailyQuotaExhausted
    │   ├── TooManyKeys, KeyEnded, TenantNameTaken, OwnKeysNotOffered
    │   ├── UrlForbidden, TooManyWebhookEndpoints, WebhookEndpointDisabled, WebhookSecretChanged
    ├── HostUnreachable             a host that a client named does not answer
    ├── ServiceUnavailable          a server of ours is away: DatabaseUnavailable, EngineUnavailable, ModerationUnavailable
    ├── ReconciliationUnfinished    a round of the reconciler goes on longer than a request can wait
    ├── ProviderError               what a provider answered, in our words
    │   ├── ProviderUnreachable, ProviderBusy, ProviderUnavailable, OutcomeUnknown
    │   ├── LanePaused, CircuitOpen, ProviderBudgetExhausted, PromiseExhausted
    │   ├── PolicyRefused (and OutputRefused), ProviderRejectedInput, ProviderCredentials, ProviderQuota, ModelGone
    │   ├── ProviderInterrupted, ModelFailed, OutputExpired, OutputCorrupt, OutputWrongSize
    │   ├── PurchaseNeverMade, PurchaseLost, PurchaseReplaced, JobNotFound (an OutcomeUnknown)
    │   └── JobCanceled, DeadlineExceeded
    ├── StorageError                ObjectMissing, StorageUnavailable, StorageFull
    ├── LeaseLost                   another attempt took over this purchase
    ├── WorkerStopping              this worker ends, and another goes on
    ├── WorkerVersionNotReady       a release of the worker cannot be given new runs yet
    ├── PayloadUnreadable           what the engine keeps cannot be decrypted
    ├── AuditChainBroken            an export of the audit log was changed
    ├── CredentialUnreadable        a tenant's own provider key cannot be decrypted
    ├── GenerationCanceled          the caller asked to stop
    ├── WorkflowEnded               somebody or something ended the run of a generation from outside
    ├── PromptError                 UnknownPrompt, MissingVariables
    └── ConfigurationError

Each class carries a stable ``code`` (the same word in Temporal, in the database and over HTTP), a ``title`` for people,
whether trying again can help (``retryable``), whether money may have been spent (``billed``) and a ``suggestion``.
``rebuy`` and ``failover`` say what the picture step may do next: buy once more from the same model, or go on to the
next candidate.

One file, although a long one: the tree is read as a whole, and a code must be found in one place.
"""

from decimal import Decimal
from typing import Any, ClassVar, Literal

Billed = Literal["yes", "no", "unknown"]


class DioramaError(Exception):
    """Base of the tree; `facts` are safe to show to a client (no vendor text, no URL, no key)."""

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"
    retryable: ClassVar[bool] = False
    billed: Billed = "no"
    cost_usd: Decimal | None = None  # what the provider said that this very failure costs, if it did
    suggestion: ClassVar[str] = "Try again later; if it stays, tell the operator the generation's id."
    rebuy: ClassVar[bool] = False
    failover: ClassVar[bool] = False

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.facts = facts


class RequestError(DioramaError):
    """The request cannot be accepted as it is; nothing was changed."""

    code = "bad_request"
    title = "The request cannot be accepted"
    suggestion = "Change the request as described and send it again."


class InvalidRequest(RequestError):
    """A field is missing, unknown or out of range."""

    code = "invalid_request"
    title = "The request is not valid"


class UnknownTheme(InvalidRequest):
    """No theme has this name."""

    code = "unknown_theme"
    title = "There is no such theme"
    suggestion = "GET /v1/themes lists the themes."


class UnknownModel(InvalidRequest):
    """The catalog has no such provider or model, or it is not configured here."""

    code = "unknown_model"
    title = "There is no such model"
    suggestion = "Leave provider and model out to use the default."


class ModelRetired(InvalidRequest):
    """The model's shutdown date has passed."""

    code = "model_retired"
    title = "The model has been shut down by its provider"
    suggestion = "Choose another model, or set force_model if you can still reach this one."


class UnsupportedSize(InvalidRequest):
    """The model cannot make a picture of this size, not even by cropping."""

    code = "unsupported_size"
    title = "The model cannot make this size"
    suggestion = "GET /v1/models lists the sizes of each model; leave size or model out to use what fits."


class InvalidCursor(InvalidRequest):
    """A page cursor that this API did not make."""

    code = "invalid_cursor"
    title = "The cursor is not valid"
    suggestion = "Start again without a cursor, then follow the links of the pages."


class ImageRejected(RequestError):
    """A picture that a client sent or pointed at cannot be used."""

    code = "image_rejected"
    title = "The image cannot be used"


class ImageUrlForbidden(ImageRejected):
    """The URL's scheme, port or address is not allowed."""

    code = "image_url_forbidden"
    title = "The image URL points to a place we do not fetch from"
    suggestion = "Use an https URL on a public host."


class ImageUnreachable(ImageRejected):
    """The URL did not answer with an image."""

    code = "image_unreachable"
    title = "The image URL could not be read"
    suggestion = "Check that the URL answers 200 with an image, without a login."


class ImageTooLarge(ImageRejected):
    """More bytes or pixels than the limit; a decompression bomb ends here too."""

    code = "image_too_large"
    title = "The image is too large"
    suggestion = "Send a smaller picture: fewer pixels, or a lossier format."


class ImageNotDecodable(ImageRejected):
    """The bytes are not a PNG, JPEG or WebP picture."""

    code = "image_not_decodable"
    title = "The file is not an image that we can read"
    suggestion = "Send a PNG, JPEG or WebP picture."


class Unauthenticated(RequestError):
    """No key, or a wrong one."""

    code = "unauthenticated"
    title = "A valid API key is needed"
    suggestion = "Send the header 'Authorization: Bearer dio_...'."


class NotFound(RequestError):
    """No such thing, or it belongs to another tenant: a client cannot tell which."""

    code = "not_found"
    title = "Not found"
    suggestion = "Check the id, and that the key belongs to the same tenant."


class AlreadyFinal(RequestError):
    """The generation has ended, so it cannot be canceled."""

    code = "already_final"
    title = "The generation has already ended"
    suggestion = "Nothing is left to cancel."


class NotRetryable(RequestError):
    """Only a generation that failed or was canceled can be sent again; `status_now` says where this one stands."""

    code = "not_retryable"
    title = "This generation cannot be sent again"
    suggestion = "Wait for its end, or send a new request."


class IdempotencyKeyReused(RequestError):
    """The Idempotency-Key came before with another body."""

    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used for another request"
    suggestion = "Use a new key for a new request."


class WebhookRejected(RequestError):
    """A provider webhook without a valid signature or token, or too old."""

    code = "webhook_rejected"
    title = "The webhook could not be verified"


class UrlForbidden(RequestError):
    """A URL's scheme, port or address is not allowed: nothing may be sent there."""

    code = "url_forbidden"
    title = "The URL points to a place that we do not connect to"
    suggestion = "Use an https URL on a public host, on port 443."


class TooManyWebhookEndpoints(RequestError):
    """The tenant has as many webhook endpoints as it may have; `most` says how many."""

    code = "too_many_webhook_endpoints"
    title = "There are as many webhook endpoints as there may be"
    suggestion = "Delete one that is not needed any more, or change one."


class TooManyKeys(RequestError):
    """The tenant has as many valid API keys as it may have; `most` says how many, for a rotation with those in their grace."""

    code = "too_many_keys"
    title = "There are as many API keys as there may be"
    suggestion = "Revoke one that is not needed any more, or rotate one."


class KeyEnded(RequestError):
    """The API key was revoked, has expired, or was rotated before and its successor, `replaced_by`, was used."""

    code = "key_ended"
    title = "This API key cannot be rotated any more"
    suggestion = "Rotate the key in its place, or make a new one."


class OwnKeysNotOffered(RequestError):
    """This service keeps no provider keys of tenants: it has no key to encrypt them by."""

    code = "own_keys_not_offered"
    title = "This service takes no provider keys of tenants"
    suggestion = "The operator may set DIORAMA_CREDENTIAL_KEYS."


class TenantNameTaken(RequestError):
    """Another tenant has this name."""

    code = "tenant_name_taken"
    title = "There is a tenant of this name"
    suggestion = "Choose another name, or change the tenant that is there."


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


class HostUnreachable(DioramaError):
    """A host that a client named cannot be found, or does not answer as a web server does."""

    code = "host_unreachable"
    title = "A host that a client named does not answer"
    retryable = True


class NotAnOperator(RequestError):
    """The key is valid, but does not open what belongs to operators."""

    code = "not_an_operator"
    title = "This is for operators only"
    suggestion = "Use a key that was made with `diorama keys create --operator`."


class NotInReview(RequestError):
    """Nothing is to be decided about this purchase: it was decided before, or its outcome is known."""

    code = "not_in_review"
    title = "This purchase does not wait for a decision"
    suggestion = "GET /v1/operations/reviews lists the purchases that do; GET /v1/operations/actions what was decided."


class JobNotAdoptable(RequestError):
    """The job cannot be this purchase's: it is another's, or its provider has no jobs to be asked about."""

    code = "job_not_adoptable"
    title = "This job cannot be adopted"
    suggestion = "Look the job up at the provider, or accept the purchase as lost, or resubmit it."


class NoRoomToBuyAgain(RequestError):
    """Buying it once more has no room in what was promised for the generation, or in the provider's budget; `of` says in which."""

    code = "no_room_to_buy_again"
    title = "There is no room to buy the picture once more"
    suggestion = "Name a lower cost_usd if the purchase was charged less, have the provider's budget raised, or accept it as lost."


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


class ReconciliationUnfinished(DioramaError):
    """The round goes on without the request that asked for it; what it finds will be among the findings."""

    code = "reconciliation_unfinished"
    title = "The round of the reconciler takes longer than a request can wait"
    suggestion = "It goes on: look at GET /v1/operations/findings later. If nothing comes, see that a worker runs."


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


class TooExpensive(InvalidRequest):
    """No model can make the request for what it may cost at most; `least_usd` says what is needed."""

    code = "too_expensive"
    title = "The request costs more than it may"
    suggestion = "Allow more with max_cost_usd, or ask for fewer pictures, a lower quality or a smaller size."


class BudgetExhausted(RequestError):
    """What the request may cost does not fit a budget; `of`, `period`, `left_usd` and `resets_at` say which, and how long."""

    code = "budget_exhausted"
    title = "A budget has no room for this request"
    suggestion = "Wait until the budget is whole again, ask for something cheaper, or have the budget raised."


class QuoteExpired(RequestError):
    """The price was promised for a while, and that is over."""

    code = "quote_expired"
    title = "The quote has expired"
    suggestion = "Ask for a new quote."


class QuoteMismatch(RequestError):
    """The request is not the one that the price was promised for."""

    code = "quote_mismatch"
    title = "The quote is for another request"
    suggestion = "Send the request exactly as it was quoted, or ask for a quote for this one."


class QuoteUsed(RequestError):
    """A quote is good for one generation."""

    code = "quote_used"
    title = "The quote has been used"
    suggestion = "Ask for a new quote."


class RateLimited(RequestError):
    """Too many requests in too short a time; `limit` says which limit it was, `retry_after_s` how long to wait."""

    code = "rate_limited"
    title = "Too many requests"
    retryable = True
    suggestion = "Wait for as long as Retry-After says, then go on more slowly."


class QueueFull(RequestError):
    """So many generations of the tenant are under way that no more are accepted; `limit` is how many may be."""

    code = "queue_full"
    title = "Too many of your generations are under way"
    retryable = True
    suggestion = "Wait until some have ended, or cancel some."


class DailyQuotaExhausted(RequestError):
    """The tenant had all generations of this day; `limit` is how many, `resets_at` when the next day begins."""

    code = "daily_quota_exhausted"
    title = "The day's generations are used up"
    retryable = True
    suggestion = "Go on when the next day begins by UTC, or have the quota raised."


class PromptRefused(RequestError):
    """What is asked for may not be made here; `category` says why, `suggested_prompt` what may be, where there is something."""

    code = "prompt_refused"
    title = "This picture may not be made here"
    suggestion = "Describe the picture in other words; suggested_prompt has some, where there are any."


class ScopeMissing(RequestError):
    """The key may not do this; `scope` is what it lacks."""

    code = "scope_missing"
    title = "This key may not do that"
    suggestion = "Use a key with the scope that is named here."


class TenantSuspended(RequestError):
    """The tenant's keys are refused."""

    code = "tenant_suspended"
    title = "This account is suspended"
    suggestion = "Ask the operator of this service."


class UnsupportedParameter(InvalidRequest):
    """No model that may be chosen knows a parameter of the request; `parameter` says which."""

    code = "unsupported_parameter"
    title = "No model that may be chosen knows a parameter"
    suggestion = "Leave the parameter out, or choose a model that GET /v1/models lists with it."


class OutcomeUnknown(ProviderError):
    """A purchase was sent and no answer came back: it may have been made."""

    code = "outcome_unknown"
    title = "It is not known whether the provider accepted the purchase"
    billed = "unknown"
    suggestion = (
        "Nothing to do for you: an operator decides, then the generation goes on by itself or ends; follow it again."
    )


class JobNotFound(OutcomeUnknown):
    """The provider says that it has no such job, although the ledger has its id: perhaps a wrong id was adopted."""

    code = "job_not_found"
    title = "The provider does not know the job"


class PolicyRefused(ProviderError):
    """The safety filter refused the prompt or the picture; `category` and `stage` say which, where known."""

    code = "policy_refused"
    title = "The safety filter refused this picture"
    suggestion = "Describe the picture in other words, or use another image."


class OutputRefused(PolicyRefused):
    """The finished picture is one that may not be kept here: it was paid for, and removed. Bought again, it would be as the first."""

    code = "output_refused"
    title = "The finished picture may not be shown here"
    suggestion = "Describe the picture in other words: it was made and charged, but is not kept."
    billed = "yes"


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


class ModelGone(ProviderError):
    """The provider does not know the model (any more)."""

    code = "model_gone"
    title = "The model is not available"
    suggestion = "Choose another model."
    failover = True


class ProviderInterrupted(ProviderError):
    """The provider lost the job and asks to send it again."""

    code = "provider_interrupted"
    title = "The provider interrupted the job"
    suggestion = "Send the request again."
    rebuy = True
    failover = True


class ModelFailed(ProviderError):
    """The model itself failed on this input."""

    code = "model_failed"
    title = "The model failed"
    suggestion = "Try again with another prompt or model."
    failover = True


class OutputExpired(ProviderError):
    """The picture was made and paid, but its file is gone at the provider."""

    code = "output_expired"
    title = "The finished picture is no longer at the provider"
    suggestion = "Ask for the picture again."
    billed = "yes"
    rebuy = True
    failover = True


class OutputCorrupt(ProviderError):
    """The picture was made and paid, but its bytes are not a picture."""

    code = "output_corrupt"
    title = "The provider delivered a broken picture"
    suggestion = "Ask for the picture again, or choose another model."
    billed = "yes"
    rebuy = True
    failover = True


class OutputWrongSize(ProviderError):
    """The picture was made and paid, and has another size than was asked for: asking this model again would not help."""

    code = "output_wrong_size"
    title = "The provider delivered a picture of another size"
    suggestion = "Choose another model, or another scale."
    billed = "yes"
    failover = True


class PurchaseNeverMade(ProviderError):
    """A purchase whose answer was lost had never reached the provider, as was found out later."""

    code = "purchase_never_made"
    title = "The purchase had never reached the provider"
    suggestion = "Nothing was charged; the picture is bought anew."
    rebuy = True


class PurchaseLost(ProviderError):
    """An operator has accepted that this purchase was paid for, perhaps, and that its picture is lost."""

    code = "purchase_lost"
    title = "The picture was lost between the provider and us"
    billed = "unknown"
    suggestion = "Send the request again."


class PurchaseReplaced(ProviderError):
    """A purchase of unknown outcome that is bought once more, by an operator's decision or by the policy for its amount."""

    code = "purchase_replaced"
    title = "The purchase was made once more"
    billed = "unknown"
    rebuy = True


class JobCanceled(ProviderError):
    """The job was canceled or aborted at the provider, and not by us."""

    code = "job_canceled"
    title = "The provider canceled the job"
    suggestion = "Send the request again; if it stays, name another provider or model."
    billed = "unknown"
    failover = True


class DeadlineExceeded(ProviderError):
    """The step took longer than its deadline; the job was canceled at the provider."""

    code = "deadline_exceeded"
    title = "The picture was not ready in time"
    billed = "unknown"
    suggestion = "Allow more time with deadline_s, or choose a faster model."


class StorageError(DioramaError):
    """The object store could not do what was asked."""

    code = "storage_error"
    title = "The picture store failed"
    retryable = True


class ObjectMissing(StorageError):
    """No object has this key."""

    code = "object_missing"
    title = "The stored picture is missing"
    retryable = False


class StorageUnavailable(StorageError):
    """The object store does not answer."""

    code = "storage_unavailable"
    title = "The picture store does not answer"


class StorageFull(StorageError):
    """The object store has no room left."""

    code = "storage_full"
    title = "The picture store is full"
    suggestion = "The operator must add room to the picture store."


class LeaseLost(DioramaError):
    """Another attempt took over this purchase; this one must not write any more."""

    code = "lease_lost"
    title = "Another worker took over"
    retryable = True


class WorkerStopping(DioramaError):
    """This worker was told to stop; another one, or the next, goes on from what the ledger shows."""

    code = "worker_stopping"
    title = "The worker stops, and another goes on"
    retryable = True


class WorkerVersionNotReady(DioramaError):
    """The engine refuses to give new runs to this release: its workers do not poll all the queues that are in use."""

    code = "worker_version_not_ready"
    title = "This release of the worker is not ready for new runs"
    retryable = True
    suggestion = "Start workers of this release with the same providers as the current one has, then promote it again."


class AuditChainBroken(DioramaError):
    """An export of the audit log is not as it was written; `line` is the first one that does not fit."""

    code = "audit_chain_broken"
    title = "The exported audit log was changed or cut off"
    suggestion = "Export the same time again, and compare the two."


class CredentialUnreadable(DioramaError):
    """A tenant's own key at a provider is sealed by a key that is not here, or was changed."""

    code = "credential_unreadable"
    title = "A stored provider key cannot be decrypted"
    suggestion = "DIORAMA_CREDENTIAL_KEYS must hold the key that it was encrypted by; or set the provider key anew."


class PayloadUnreadable(DioramaError):
    """A payload in the engine's history was encrypted by a key that is not here, or was changed."""

    code = "payload_unreadable"
    title = "The engine's records cannot be read"
    suggestion = (
        "The operator must put the missing key back among DIORAMA_PAYLOAD_KEYS: old keys stay until no run needs them."
    )


class GenerationCanceled(DioramaError):
    """The caller asked to stop this generation."""

    code = "canceled"
    title = "Canceled"
    suggestion = "Start a new generation when you are ready."


class WorkflowEnded(DioramaError):
    """The workflow of a generation was terminated, or failed, before it could write down an end; all was taken back."""

    code = "workflow_ended"
    title = "The work on this generation was ended from outside"
    retryable = True
    suggestion = "Send the request again."


class PromptError(DioramaError):
    """A prompt template cannot be rendered."""

    code = "prompt_error"
    title = "A prompt template is broken"
    suggestion = "The operator must mend the template that the detail names."


class UnknownPrompt(PromptError):
    """No template has this name."""

    code = "unknown_prompt"


class MissingVariables(PromptError):
    """The template needs variables that were not given; `facts['missing']` names them."""

    code = "missing_variables"


class ConfigurationError(DioramaError):
    """A setting is missing or wrong; the message names it and says where to set it."""

    code = "configuration_error"
    title = "The configuration is not usable"
    suggestion = "The operator must set what the detail names, in the environment or in .env."


def _all_below(base: type[DioramaError]) -> list[type[DioramaError]]:
    return [base, *(found for child in base.__subclasses__() for found in _all_below(child))]


_BY_CODE = {error.code: error for error in reversed(_all_below(DioramaError))}


def error_class(code: str) -> type[DioramaError]:
    """The class that carries this code; DioramaError itself for a code nobody knows."""
    return _BY_CODE.get(code, DioramaError)
