"""What a caller can mend by another request."""

from errors.base import DioramaError


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


class UnsupportedParameter(InvalidRequest):
    """No model that may be chosen knows a parameter of the request; `parameter` says which."""

    code = "unsupported_parameter"
    title = "No model that may be chosen knows a parameter"
    suggestion = "Leave the parameter out, or choose a model that GET /v1/models lists with it."


class InvalidCursor(InvalidRequest):
    """A page cursor that this API did not make."""

    code = "invalid_cursor"
    title = "The cursor is not valid"
    suggestion = "Start again without a cursor, then follow the links of the pages."


class PromptRefused(RequestError):
    """What is asked for may not be made here; `category` says why, `suggested_prompt` what may be, where there is something."""

    code = "prompt_refused"
    title = "This picture may not be made here"
    suggestion = "Describe the picture in other words; suggested_prompt has some, where there are any."


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
