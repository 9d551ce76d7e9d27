"""Receipts of erasures: signed, so that one that was kept outside can be told from one that was made up."""

import hashlib
import hmac
from typing import Final
from uuid import UUID

from contracts.erasures import ErasureFacts, ErasureSubject, Receipt

# One secret, several uses: no text that one of them signs can pass for one of another's.
_SUBJECT: Final = b"diorama/erasure/subject/"
_RECEIPT: Final = b"diorama/erasure/receipt/"


class Receipts:
    """Signs with a key that only this service has."""

    def __init__(self, token_secret: str) -> None:
        self._key = token_secret.encode()

    def subject_hash(self, tenant_id: UUID, subject: ErasureSubject, subject_id: str) -> str:
        """What is kept in place of an id that is to be forgotten: 64 hex digits, which nobody without the key can guess from."""
        text = f"{tenant_id}/{subject}/{subject_id}"
        return hmac.new(self._key, _SUBJECT + text.encode(), hashlib.sha256).hexdigest()

    def signed(self, facts: ErasureFacts) -> Receipt:
        """The receipt of these facts."""
        return Receipt(**facts.model_dump(), signature=self._signature(facts))

    def wrote(self, receipt: Receipt) -> bool:
        """Whether this service signed exactly these facts."""
        return hmac.compare_digest(receipt.signature, self._signature(receipt))

    def _signature(self, facts: ErasureFacts) -> str:
        signed = ErasureFacts(**facts.model_dump(include=set(ErasureFacts.model_fields))).model_dump_json()
        return hmac.new(self._key, _RECEIPT + signed.encode(), hashlib.sha256).hexdigest()
