"""A sealed provider key opens for its tenant and provider, by a key of the operator's, and for nothing else."""

import base64
import os
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from contracts.key_ring import KeyRing
from db.credential_safe import CredentialSafe, Sealed
from errors import CredentialUnreadable

TENANT = uuid4()
KEYS = {name: base64.b64encode(os.urandom(32)).decode() for name in ("old", "new")}


def safe(*names: str) -> CredentialSafe:
    return CredentialSafe(KeyRing.parse(",".join(f"{name}:{KEYS[name]}" for name in names), setting="X"))


def test_a_key_comes_back_as_it_was_and_is_nowhere_in_what_is_kept() -> None:
    sealed = safe("old").sealed(TENANT, "replicate", "r8_secret")

    assert safe("old").opened(TENANT, "replicate", sealed) == "r8_secret"
    assert b"r8_secret" not in sealed.body
    assert safe("old").sealed(TENANT, "replicate", "r8_secret").body != sealed.body


def test_what_an_older_key_sealed_still_opens_and_new_ones_are_by_the_first() -> None:
    sealed = safe("old").sealed(TENANT, "replicate", "r8_secret")
    both = safe("new", "old")

    assert both.opened(TENANT, "replicate", sealed) == "r8_secret"
    assert both.sealed(TENANT, "replicate", "r8_secret").by == "new"


@pytest.mark.parametrize(
    ("tenant_id", "provider", "change"),
    [
        (uuid4(), "replicate", lambda sealed: sealed),
        (TENANT, "openai", lambda sealed: sealed),
        (TENANT, "replicate", lambda sealed: replace(sealed, body=bytes([sealed.body[0] ^ 1]) + sealed.body[1:])),
        (TENANT, "replicate", lambda sealed: replace(sealed, body=b"")),
        (TENANT, "replicate", lambda sealed: replace(sealed, nonce=b"")),
        (TENANT, "replicate", lambda sealed: replace(sealed, by="new")),
        (TENANT, "replicate", lambda sealed: replace(sealed, by="gone")),
    ],
)
def test_it_opens_for_nobody_else_and_not_when_it_was_changed(
    tenant_id: UUID, provider: str, change: Callable[[Sealed], Sealed]
) -> None:
    sealed = safe("old").sealed(TENANT, "replicate", "r8_secret")

    with pytest.raises(CredentialUnreadable):
        safe("new", "old").opened(tenant_id, provider, change(sealed))
