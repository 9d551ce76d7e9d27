"""Whose account at a provider a purchase goes to: the service's own, or that of a tenant who brought a key."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from contracts.statuses import SpendState
from db import credentials
from db.credential_safe import CredentialSafe, Sealed
from db.engine import Database
from db.models import Spend
from errors import (
    CredentialUnreadable,
    JobNotFound,
    OwnAccountEmpty,
    OwnKeyRefused,
    ProviderCredentials,
    ProviderError,
    ProviderQuota,
    ProviderUnavailable,
)
from providers.base import ImageProvider

# A provider's object with a key of its own, made when a purchase of that tenant comes by.
MakeProvider = Callable[[str, str], ImageProvider]

# Each keeps a few connections open. More are kept while they are in use: one that is made anew for each poll costs more.
MOST_AT_ONCE: Final = 200
# Several times as long as the longest pause between two polls of a job.
IDLE_AFTER_S: Final = 60.0
# A key that was replaced or removed is known everywhere within so long.
LOOK_AGAIN_S: Final = 2.0
# Longer than any call to a provider: who was put aside may still be in the middle of one.
LONGEST_CALL_S: Final = 600.0
# A purchase that was sent so long after a key was set was sent with it: LOOK_AGAIN_S, and clocks that differ.
SURELY_IN_USE_AFTER: Final = timedelta(seconds=10)

Name = tuple[UUID, str]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Account:
    """A provider with a tenant's key, the sealed key that it was made with and when that was set, and the last look at the row."""

    provider: ImageProvider
    sealed: Sealed
    set_at: datetime
    looked_at: float


class OwnAccounts:
    """The providers with tenants' own keys: opened when they are needed, a bounded number at once."""

    def __init__(self, database: Database, safe: CredentialSafe | None, make: MakeProvider) -> None:
        self._database = database
        self._safe = safe
        self._make = make
        self._accounts: OrderedDict[Name, _Account] = OrderedDict()
        self._put_aside: list[tuple[float, ImageProvider]] = []
        # Each name's own, so that a slow look at one keeps nobody else waiting; gone when nobody looks.
        self._looking: WeakValueDictionary[Name, asyncio.Lock] = WeakValueDictionary()

    async def of(self, spend: Spend) -> ImageProvider:
        """The provider with the key of the purchase's tenant; raises as `Accounts.of` does."""
        return (await self._account(spend)).provider

    async def is_replaced_since(self, spend: Spend) -> bool:
        """Whether the purchase may have been sent with a key before this one; raises as `Accounts.of` does."""
        account = await self._account(spend)
        return account.set_at + SURELY_IN_USE_AFTER > (spend.sent_at or spend.created_at)

    async def close(self) -> None:
        """Give all connections back."""
        aside, self._put_aside = [provider for _, provider in self._put_aside], []
        aside += [account.provider for account in self._accounts.values()]
        self._accounts.clear()
        for provider in aside:
            await provider.close()

    async def _account(self, spend: Spend) -> _Account:
        name = (spend.tenant_id, spend.provider)
        if known := self._fresh(name):
            return known
        looking = self._looking.setdefault(name, asyncio.Lock())
        async with looking:
            return self._fresh(name) or await self._looked_at(name, spend)

    def _fresh(self, name: Name) -> _Account | None:
        """The account, when its row was looked at just now."""
        known = self._accounts.get(name)
        if known is None or time.monotonic() - known.looked_at > LOOK_AGAIN_S:
            return None
        self._accounts.move_to_end(name)
        return known

    async def _looked_at(self, name: Name, spend: Spend) -> _Account:
        async with self._database.transaction() as session:
            row = await credentials.of_tenant(session, *name)
        if row is None:
            self._forget(name)
            raise _removed(spend)
        sealed, known, moment = credentials.sealed_of(row), self._accounts.get(name), time.monotonic()
        if known is None or known.sealed != sealed:
            self._forget(name)
            known = self._accounts[name] = _Account(self._opened(spend, sealed), sealed, row.created_at, moment)
            await self._make_room()
            return known
        known.looked_at = moment
        self._accounts.move_to_end(name)
        return known

    def _opened(self, spend: Spend, sealed: Sealed) -> ImageProvider:
        try:
            if self._safe is not None:
                key = self._safe.opened(spend.tenant_id, spend.provider, sealed)
                return self._make(spend.provider, key)
            why = "No keys to decrypt it by are set here."
        except (CredentialUnreadable, ProviderCredentials) as error:  # the latter: it is no key of this provider's
            why = error.detail
        words = {"tenant": str(spend.tenant_id), "provider": spend.provider, "sealed_by": sealed.by}
        log.error("credential.unusable", **words, why=why)
        raise _unusable(spend)

    def _forget(self, name: Name) -> None:
        account = self._accounts.pop(name, None)
        if account is not None:
            self._put_aside.append((time.monotonic(), account.provider))

    async def _make_room(self) -> None:
        """Put those aside for which there is no room and that nobody uses; close those that were put aside long ago."""
        unused_since = time.monotonic() - IDLE_AFTER_S
        while len(self._accounts) > MOST_AT_ONCE:
            name, account = next(iter(self._accounts.items()))
            if account.looked_at > unused_since:
                break
            self._forget(name)
        before = time.monotonic() - LONGEST_CALL_S
        idle = [provider for since, provider in self._put_aside if since < before]
        self._put_aside = [(since, provider) for since, provider in self._put_aside if since >= before]
        for provider in idle:
            await provider.close()


class Accounts(Mapping[str, ImageProvider]):
    """The providers by name, each with the service's own key; `of` says which one a purchase belongs to."""

    def __init__(self, ours: Mapping[str, ImageProvider], own: OwnAccounts | None = None) -> None:
        self._ours = ours
        self._own = own

    @classmethod
    def over(cls, providers: Mapping[str, ImageProvider]) -> Self:
        """Accounts as they are; plain providers are the service's own alone."""
        return providers if isinstance(providers, cls) else cls(providers)

    async def of(self, spend: Spend) -> ImageProvider:
        """The provider to ask about this purchase. When a tenant's own key is missing it depends on how far the purchase is.

        Not sent yet, it raises ProviderCredentials: another candidate may make the picture. Sent, it must not be bought from
        anybody else, whatever became of the key. With a key that cannot be read here it raises ProviderUnavailable: another
        process can, or this one later. With a key that was removed it raises JobNotFound for a job that is waited for, and
        ProviderCredentials for a purchase without one: nobody can ask about it any more.
        """
        if not spend.own_key:
            return self._ours[spend.provider]
        if self._own is None:
            raise _unusable(spend)
        return await self._own.of(spend)

    async def is_replaced_since(self, spend: Spend) -> bool:
        """Whether the account may not be the one that the purchase was sent in; raises as `of` does.

        A tenant can replace a key by one of another account: what is not there may then be in the account before.
        """
        return spend.own_key and self._own is not None and await self._own.is_replaced_since(spend)

    def __getitem__(self, name: str) -> ImageProvider:
        return self._ours[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ours)

    def __len__(self) -> int:
        return len(self._ours)


def in_whose_account(spend: Spend, refusal: ProviderError) -> ProviderError:
    """The refusal, or its counterpart when it is about a tenant's own account, where the operator can mend nothing."""
    if not spend.own_key:
        return refusal
    if isinstance(refusal, ProviderCredentials):
        return OwnKeyRefused(billed=refusal.billed, **refusal.facts)
    if isinstance(refusal, ProviderQuota):
        return OwnAccountEmpty(billed=refusal.billed, **refusal.facts)
    return refusal


def _unusable(spend: Spend) -> ProviderError:
    words = "The tenant's own key at the provider cannot be used here."
    if spend.state is SpendState.held:
        return ProviderCredentials(words, billed="no")
    return ProviderUnavailable(words, billed="unknown")


def _removed(spend: Spend) -> ProviderError:
    words = "The tenant's own key at the provider was removed."
    if spend.state is SpendState.submitted:
        return JobNotFound(words)
    return ProviderCredentials(words, billed="no" if spend.state is SpendState.held else "unknown")
