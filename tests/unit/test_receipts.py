"""A receipt is believed when this service wrote it, and only as it wrote it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.erasures import ErasureFacts, ErasureSubject, Receipt
from contracts.receipts import Receipts

OURS = Receipts("a secret of the tests")
FACTS = ErasureFacts(
    erasure_id=UUID(int=1),
    tenant_id=UUID(int=2),
    subject=ErasureSubject.user,
    subject_hash="0" * 64,
    requested_at=datetime(2026, 11, 21, 12, tzinfo=UTC),
    verified_at=datetime(2026, 11, 21, 12, 0, 1, 500, tzinfo=UTC),
    generations=3,
    pictures=4,
    objects_removed=5,
    objects_left=0,
    rows_redacted=20,
)


def test_a_receipt_is_believed_after_it_went_through_json() -> None:
    kept = OURS.signed(FACTS).model_dump_json()

    assert OURS.wrote(Receipt.model_validate_json(kept))


@pytest.mark.parametrize(
    "change", [{"objects_left": 1}, {"generations": 2}, {"subject_hash": "1" * 64}, {"signature": ""}]
)
def test_a_receipt_that_was_changed_is_not_believed(change: dict[str, Any]) -> None:
    assert not OURS.wrote(OURS.signed(FACTS).model_copy(update=change))


def test_a_receipt_of_another_service_is_not_believed() -> None:
    assert not OURS.wrote(Receipts("another secret").signed(FACTS))


def test_a_subjects_hash_tells_tenants_and_kinds_apart_and_does_not_hold_the_id() -> None:
    tenants = uuid4(), uuid4()
    hashes = {OURS.subject_hash(tenant, subject, "anna") for tenant in tenants for subject in ErasureSubject}

    assert len(hashes) == 4
    assert OURS.subject_hash(tenants[0], ErasureSubject.user, "anna") in hashes
    assert Receipts("another secret").subject_hash(tenants[0], ErasureSubject.user, "anna") not in hashes
