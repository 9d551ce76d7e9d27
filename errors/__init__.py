"""Every error Diorama raises on purpose, as one tree; each area of it is a file here, and everybody imports from `errors`.

    DioramaError                                                                                          base
    ├── RequestError                the caller can mend it                                                requests
    │   ├── InvalidRequest          UnknownTheme, UnknownModel, ModelRetired, UnsupportedSize, InvalidCursor
    │   │   │                       UnsupportedParameter
    │   │   └── TooExpensive                                                                              money
    │   ├── NotFound, AlreadyFinal, NotRetryable, IdempotencyKeyReused, PromptRefused
    │   ├── ImageRejected           ImageUrlForbidden, ImageUnreachable, ImageTooLarge, ImageNotDecodable images
    │   ├── Unauthenticated, ScopeMissing, TenantSuspended, NotAnOperator                                 access
    │   ├── TooManyKeys, KeyEnded, TenantNameTaken, OwnKeysNotOffered
    │   ├── BudgetExhausted, QuoteExpired, QuoteMismatch, QuoteUsed                                       money
    │   ├── RateLimited, QueueFull, DailyQuotaExhausted                                                   limits
    │   ├── WebhookRejected, UrlForbidden, TooManyWebhookEndpoints                                        webhooks
    │   ├── WebhookEndpointDisabled, WebhookSecretChanged
    │   └── NotInReview, JobNotAdoptable, NoRoomToBuyAgain                                                operators
    ├── ReconciliationUnfinished    a round of the reconciler goes on longer than a request can wait
    ├── HostUnreachable             a host that a client named does not answer                            webhooks
    ├── ServiceUnavailable          a server of ours is away                                              servers
    │   └── DatabaseUnavailable, EngineUnavailable, ModerationUnavailable
    ├── ConfigurationError
    ├── ProviderError               what a provider answered, in our words                                providers
    │   ├── ProviderUnreachable, ProviderBusy, ProviderUnavailable
    │   ├── LanePaused, CircuitOpen, ProviderBudgetExhausted, PromiseExhausted
    │   ├── PolicyRefused, ProviderRejectedInput, ModelGone
    │   ├── ProviderCredentials         OwnKeyRefused
    │   ├── ProviderQuota               OwnAccountEmpty
    │   ├── OutcomeUnknown (and JobNotFound), PurchaseNeverMade, PurchaseLost, PurchaseReplaced           purchases
    │   ├── ProviderInterrupted, ModelFailed, JobCanceled, DeadlineExceeded
    │   └── OutputExpired, OutputCorrupt, OutputWrongSize, OutputRefused (a PolicyRefused)
    ├── StorageError                ObjectMissing, StorageUnavailable, StorageFull                        storage
    ├── GenerationCanceled          the caller asked to stop                                              work
    ├── WorkflowEnded               somebody or something ended the run of a generation from outside
    ├── LeaseLost                   another attempt took over this purchase
    ├── WorkerStopping              this worker ends, and another goes on
    ├── WorkerVersionNotReady       a release of the worker cannot be given new runs yet
    ├── PayloadUnreadable           what the engine keeps cannot be decrypted                             records
    ├── AuditChainBroken            an export of the audit log was changed
    ├── CredentialUnreadable        a tenant's own provider key cannot be decrypted
    └── PromptError                 UnknownPrompt, MissingVariables                                       prompts

Each class carries a stable ``code`` (the same word in Temporal, in the database and over HTTP), a ``title`` for people,
whether trying again can help (``retryable``), whether money may have been spent (``billed``) and a ``suggestion``.
``rebuy`` and ``failover`` say what the picture step may do next: buy once more from the same model, or go on to the
next candidate. docs/errors.md shows all codes in one table, and a test sees that each is the only one of its kind.
"""

from errors.access import (
    KeyEnded,
    NotAnOperator,
    OwnKeysNotOffered,
    ScopeMissing,
    TenantNameTaken,
    TenantSuspended,
    TooManyKeys,
    Unauthenticated,
)
from errors.base import Billed, DioramaError
from errors.codes import error_class, every_error
from errors.images import ImageNotDecodable, ImageRejected, ImageTooLarge, ImageUnreachable, ImageUrlForbidden
from errors.limits import DailyQuotaExhausted, QueueFull, RateLimited
from errors.money import BudgetExhausted, QuoteExpired, QuoteMismatch, QuoteUsed, TooExpensive
from errors.operators import JobNotAdoptable, NoRoomToBuyAgain, NotInReview, ReconciliationUnfinished
from errors.prompts import MissingVariables, PromptError, UnknownPrompt
from errors.providers import (
    CircuitOpen,
    LanePaused,
    ModelGone,
    OwnAccountEmpty,
    OwnKeyRefused,
    PolicyRefused,
    PromiseExhausted,
    ProviderBudgetExhausted,
    ProviderBusy,
    ProviderCredentials,
    ProviderError,
    ProviderQuota,
    ProviderRejectedInput,
    ProviderUnavailable,
    ProviderUnreachable,
)
from errors.purchases import (
    DeadlineExceeded,
    JobCanceled,
    JobNotFound,
    ModelFailed,
    OutcomeUnknown,
    OutputCorrupt,
    OutputExpired,
    OutputRefused,
    OutputWrongSize,
    ProviderInterrupted,
    PurchaseLost,
    PurchaseNeverMade,
    PurchaseReplaced,
)
from errors.records import AuditChainBroken, CredentialUnreadable, PayloadUnreadable
from errors.requests import (
    AlreadyFinal,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidRequest,
    ModelRetired,
    NotFound,
    NotRetryable,
    PromptRefused,
    RequestError,
    UnknownModel,
    UnknownTheme,
    UnsupportedParameter,
    UnsupportedSize,
)
from errors.servers import (
    ConfigurationError,
    DatabaseUnavailable,
    EngineUnavailable,
    ModerationUnavailable,
    ServiceUnavailable,
)
from errors.storage import ObjectMissing, StorageError, StorageFull, StorageUnavailable
from errors.webhooks import (
    HostUnreachable,
    TooManyWebhookEndpoints,
    UrlForbidden,
    WebhookEndpointDisabled,
    WebhookRejected,
    WebhookSecretChanged,
)
from errors.work import GenerationCanceled, LeaseLost, WorkerStopping, WorkerVersionNotReady, WorkflowEnded

__all__ = [
    "AlreadyFinal",
    "AuditChainBroken",
    "Billed",
    "BudgetExhausted",
    "CircuitOpen",
    "ConfigurationError",
    "CredentialUnreadable",
    "DailyQuotaExhausted",
    "DatabaseUnavailable",
    "DeadlineExceeded",
    "DioramaError",
    "EngineUnavailable",
    "GenerationCanceled",
    "HostUnreachable",
    "IdempotencyKeyReused",
    "ImageNotDecodable",
    "ImageRejected",
    "ImageTooLarge",
    "ImageUnreachable",
    "ImageUrlForbidden",
    "InvalidCursor",
    "InvalidRequest",
    "JobCanceled",
    "JobNotAdoptable",
    "JobNotFound",
    "KeyEnded",
    "LanePaused",
    "LeaseLost",
    "MissingVariables",
    "ModelFailed",
    "ModelGone",
    "ModelRetired",
    "ModerationUnavailable",
    "NoRoomToBuyAgain",
    "NotAnOperator",
    "NotFound",
    "NotInReview",
    "NotRetryable",
    "ObjectMissing",
    "OutcomeUnknown",
    "OutputCorrupt",
    "OutputExpired",
    "OutputRefused",
    "OutputWrongSize",
    "OwnAccountEmpty",
    "OwnKeyRefused",
    "OwnKeysNotOffered",
    "PayloadUnreadable",
    "PolicyRefused",
    "PromiseExhausted",
    "PromptError",
    "PromptRefused",
    "ProviderBudgetExhausted",
    "ProviderBusy",
    "ProviderCredentials",
    "ProviderError",
    "ProviderInterrupted",
    "ProviderQuota",
    "ProviderRejectedInput",
    "ProviderUnavailable",
    "ProviderUnreachable",
    "PurchaseLost",
    "PurchaseNeverMade",
    "PurchaseReplaced",
    "QueueFull",
    "QuoteExpired",
    "QuoteMismatch",
    "QuoteUsed",
    "RateLimited",
    "ReconciliationUnfinished",
    "RequestError",
    "ScopeMissing",
    "ServiceUnavailable",
    "StorageError",
    "StorageFull",
    "StorageUnavailable",
    "TenantNameTaken",
    "TenantSuspended",
    "TooExpensive",
    "TooManyKeys",
    "TooManyWebhookEndpoints",
    "Unauthenticated",
    "UnknownModel",
    "UnknownPrompt",
    "UnknownTheme",
    "UnsupportedParameter",
    "UnsupportedSize",
    "UrlForbidden",
    "WebhookEndpointDisabled",
    "WebhookRejected",
    "WebhookSecretChanged",
    "WorkerStopping",
    "WorkerVersionNotReady",
    "WorkflowEnded",
    "error_class",
    "every_error",
]
