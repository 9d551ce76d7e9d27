"""What was kept and cannot be read or trusted any more."""

from errors.base import DioramaError


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
