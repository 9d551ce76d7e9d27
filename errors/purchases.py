"""What became of a purchase that had been sent to a provider."""

from errors.providers import PolicyRefused, ProviderError


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


class OutputRefused(PolicyRefused):
    """The finished picture is one that may not be kept here: it was paid for, and removed. Bought again, it would be as the first."""

    code = "output_refused"
    title = "The finished picture may not be shown here"
    suggestion = "Describe the picture in other words: it was made and charged, but is not kept."
    billed = "yes"


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
