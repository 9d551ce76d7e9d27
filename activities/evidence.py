"""Which failures say something about the health of a provider or a model, and whose fault they are."""

from typing import Final

from db.models import Spend
from db.traffic import Fault
from errors import (
    CircuitOpen,
    DeadlineExceeded,
    DioramaError,
    LanePaused,
    ModelFailed,
    ModelGone,
    OutcomeUnknown,
    OutputCorrupt,
    OutputExpired,
    OutputWrongSize,
    ProviderBusy,
    ProviderCredentials,
    ProviderInterrupted,
    ProviderQuota,
    ProviderUnavailable,
    ProviderUnreachable,
)

OF_PROVIDERS: Final = (
    ProviderUnreachable,
    ProviderUnavailable,
    OutcomeUnknown,
    ProviderInterrupted,
    ProviderCredentials,
    ProviderQuota,
    OutputExpired,  # models make pictures, and the provider hands them out
)
# A deadline is missed by a slow model; which others the provider has need not be slow.
OF_MODELS: Final = (ModelFailed, ModelGone, DeadlineExceeded, OutputCorrupt, OutputWrongSize)
# The next purchase cannot end otherwise, until somebody did something about it.
AT_ONCE: Final = (ProviderCredentials, ProviderQuota, ModelGone)
# The buyer tells of each of these when it meets it, or it is of our own making.
TOLD_ALREADY: Final = (ProviderUnreachable, ProviderBusy, OutcomeUnknown, CircuitOpen, LanePaused)


def fault_of(error: DioramaError, provider: str, model: str) -> Fault | None:
    """Whose fault it is; None: a refused prompt, a wrong input, a cancellation say nothing about health."""
    if isinstance(error, ModelGone) and "status" not in error.facts:
        return None  # nobody answered: it is this worker whose catalog does not have the model
    at_once = isinstance(error, AT_ONCE)
    if isinstance(error, OF_PROVIDERS):
        return Fault(provider, "", error.code, at_once=at_once)
    if isinstance(error, OF_MODELS):
        return Fault(provider, model, error.code, at_once=at_once)
    return None


def fault_in(spend: Spend, error: DioramaError) -> Fault | None:
    """The same for a purchase. One with a tenant's own key is no evidence: what is wrong may be wrong with that account.

    By the error it cannot be told: a key that was revoked ends as polls that nobody answers, and then as a missed deadline.
    """
    return None if spend.own_key else fault_of(error, spend.provider, spend.model)


def is_told_already(error: DioramaError) -> bool:
    """Whether the standings know of it before the purchase ends."""
    return isinstance(error, TOLD_ALREADY)
