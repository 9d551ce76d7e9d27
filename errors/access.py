"""Who may do what: keys, scopes, tenants."""

from errors.requests import RequestError


class Unauthenticated(RequestError):
    """No key, or a wrong one."""

    code = "unauthenticated"
    title = "A valid API key is needed"
    suggestion = "Send the header 'Authorization: Bearer dio_...'."


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


class NotAnOperator(RequestError):
    """The key is valid, but does not open what belongs to operators."""

    code = "not_an_operator"
    title = "This is for operators only"
    suggestion = "Use a key that was made with `diorama keys create --operator`."


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


class TenantNameTaken(RequestError):
    """Another tenant has this name."""

    code = "tenant_name_taken"
    title = "There is a tenant of this name"
    suggestion = "Choose another name, or change the tenant that is there."


class OwnKeysNotOffered(RequestError):
    """This service keeps no provider keys of tenants: it has no key to encrypt them by."""

    code = "own_keys_not_offered"
    title = "This service takes no provider keys of tenants"
    suggestion = "The operator may set DIORAMA_CREDENTIAL_KEYS."
