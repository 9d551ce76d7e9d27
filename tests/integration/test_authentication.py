"""Which keys are accepted, and until when: with a real database, and clocks that are moved by hand."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from api.authentication import REMEMBER_S, Authenticator
from api.key_use import KeyUse
from api.wrong_keys import PER_MINUTE, WrongKeys
from contracts.budgets import BudgetOf, Period
from contracts.scopes import ALL_SCOPES, USUAL_SCOPES, KeyScope
from contracts.tiers import Tier
from db import budget_figures, budgets, keys, tenant_keys, tenants
from db.audit import COMMAND
from db.budgets import NewBudget
from db.columns import now
from db.engine import Database
from db.models import ApiKey
from db.tenant_keys import MadeKey, NewKey
from errors import KeyEnded, RateLimited, TenantSuspended, TooManyKeys, Unauthenticated
from tests.integration.patience import PATIENT

PEPPER = "a pepper of the tests"
PLACE = "192.0.2.7"


@dataclass
class House:
    """A tenant, an authenticator, and its clocks."""

    database: Database
    tenant_id: UUID
    began: datetime = field(default_factory=now)
    passed: timedelta = timedelta(0)
    authenticator: Authenticator = field(init=False)

    def __post_init__(self) -> None:
        self.key_use = KeyUse(self.database)
        self.authenticator = Authenticator(
            self.database, PEPPER, self.key_use, WrongKeys(self._ticks), clock=self._ticks, today=self.today
        )

    def _ticks(self) -> float:
        return 1000 + self.passed.total_seconds()

    def today(self) -> datetime:
        return self.began + self.passed

    async def make(self, *scopes: KeyScope, expires_at: datetime | None = None, **more: bool) -> MadeKey:
        wanted = NewKey("a key", scopes or USUAL_SCOPES, expires_at, **more)
        async with self.database.transaction() as session:
            return await tenant_keys.create(session, COMMAND, self.tenant_id, wanted, pepper=PEPPER)

    async def rotate(self, key_id: str, grace: timedelta) -> MadeKey:
        async with self.database.transaction() as session:
            row = await tenant_keys.found(session, key_id, tenant_id=self.tenant_id, lock=True)
            return await tenant_keys.rotate(session, COMMAND, row, pepper=PEPPER, grace=grace)

    async def use(self, made: MadeKey) -> None:
        """Ask with the key, and have that written down."""
        async with self.key_use.running():
            await self.authenticator.caller(made.key)

    async def row(self, key_id: str) -> ApiKey:
        async with self.database.transaction() as session:
            return await tenant_keys.found(session, key_id, tenant_id=None)


@pytest.fixture
async def house(postgres_url: str) -> AsyncIterator[House]:
    database = Database(postgres_url, pool_size=3, patience=PATIENT)
    async with database.transaction() as session:
        tenant_id = await tenants.ensure(session, f"authentication {uuid4()}")
    yield House(database, tenant_id)
    await database.close()


async def test_a_caller_is_who_the_key_says_with_the_limits_of_its_tenant(house: House) -> None:
    made = await house.make(KeyScope.read)
    async with house.database.transaction() as session:
        await tenants.change(session, COMMAND, house.tenant_id, {"tier": Tier.free, "per_day": 7})

    caller = await house.authenticator.caller(made.key)

    assert (caller.tenant_id, caller.key_id, caller.operator) == (house.tenant_id, made.row.id, False)
    assert (caller.may(KeyScope.read), caller.may(KeyScope.generate)) == (True, False)
    assert (caller.tenant.tier, caller.tenant.allowance.per_day, caller.tenant.allowance.in_flight) == (
        Tier.free,
        7,
        10,
    )


async def test_an_operators_key_may_all(house: House) -> None:
    made = await house.make(KeyScope.read, operator=True)

    caller = await house.authenticator.caller(made.key)

    assert all(caller.may(scope) for scope in ALL_SCOPES)


async def test_a_key_is_refused_from_the_moment_that_it_expires_although_it_is_remembered(house: House) -> None:
    made = await house.make(expires_at=house.today() + timedelta(hours=1))
    house.passed = timedelta(minutes=59, seconds=59.5)
    await house.authenticator.caller(made.key)

    house.passed += timedelta(seconds=1)

    with pytest.raises(Unauthenticated, match="expired"):
        await house.authenticator.caller(made.key)


async def test_a_rotated_key_goes_on_for_its_grace_and_the_new_one_has_the_same_rights(house: House) -> None:
    old = await house.make(KeyScope.read, KeyScope.admin)

    new = await house.rotate(old.row.id, timedelta(hours=24))
    house.passed = timedelta(hours=23, minutes=59)
    meanwhile = [await house.authenticator.caller(key) for key in (old.key, new.key)]
    house.passed = timedelta(hours=24, minutes=1)
    after = await house.authenticator.caller(new.key)

    assert [caller.scopes for caller in [*meanwhile, after]] == [{KeyScope.read, KeyScope.admin}] * 3
    assert (await house.row(old.row.id)).replaced_by == new.row.id == after.key_id
    with pytest.raises(Unauthenticated):
        await house.authenticator.caller(old.key)


async def test_a_rotation_never_lengthens_the_life_of_the_old_key(house: House) -> None:
    ends = now() + timedelta(hours=1)
    old = await house.make(expires_at=ends)

    new = await house.rotate(old.row.id, timedelta(days=7))

    assert (await house.row(old.row.id)).expires_at == new.row.expires_at == ends


async def test_all_keys_that_follow_each_other_have_the_budgets_of_the_first(house: House) -> None:
    first = await house.make()
    second = await house.rotate(first.row.id, timedelta(hours=24))
    third = await house.rotate(second.row.id, timedelta(hours=24))
    wanted = [
        NewBudget(BudgetOf.key, made.row.id, Period.day, Decimal(usd), hard=True, tenant_id=None)
        for usd, made in enumerate((first, second, third), 1)
    ]

    async with house.database.transaction() as session:
        owners = [(await budgets.set_(session, one)).budget.owner for one in wanted]
        rooms = await budget_figures.rooms(session, tenant_id=house.tenant_id, key_id=third.row.id)

    assert owners == [first.row.id] * 3
    assert [room.budget.limit_usd for room in rooms if room.budget.of is BudgetOf.key] == [3]


async def test_a_key_is_rotated_once_when_the_key_in_its_place_was_used(house: House) -> None:
    old = await house.make()
    new = await house.rotate(old.row.id, timedelta(hours=24))
    await house.use(new)

    with pytest.raises(KeyEnded) as refused:
        await house.rotate(old.row.id, timedelta(hours=24))

    assert refused.value.facts == {"replaced_by": new.row.id}


async def test_a_successor_that_nobody_ever_used_is_replaced_and_the_old_keys_end_stays(house: House) -> None:
    old = await house.make()
    lost = await house.rotate(old.row.id, timedelta(hours=1))
    ends = (await house.row(old.row.id)).expires_at

    new = await house.rotate(old.row.id, timedelta(hours=24))

    with pytest.raises(Unauthenticated):
        await house.authenticator.caller(lost.key)
    assert (await house.authenticator.caller(new.key)).expires_at is None
    kept = await house.row(old.row.id)
    assert (kept.replaced_by, kept.expires_at) == (new.row.id, ends)


async def test_a_revoked_successor_is_not_replaced(house: House) -> None:
    old = await house.make()
    new = await house.rotate(old.row.id, timedelta(hours=24))
    async with house.database.transaction() as session:
        await tenant_keys.revoke(session, COMMAND, await tenant_keys.found(session, new.row.id, tenant_id=None))

    with pytest.raises(KeyEnded):
        await house.rotate(old.row.id, timedelta(hours=24))


async def test_rotated_keys_in_their_grace_are_no_way_to_have_as_many_as_one_likes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenant_keys, "MOST_WITH_GRACE", 3)
    made = await house.make()
    for _ in range(2):
        made = await house.rotate(made.row.id, timedelta(days=30))

    with pytest.raises(TooManyKeys):
        await house.rotate(made.row.id, timedelta(days=30))


async def test_a_revoked_key_is_refused_after_what_is_remembered_has_passed(house: House) -> None:
    made = await house.make()
    await house.authenticator.caller(made.key)
    async with house.database.transaction() as session:
        await tenant_keys.revoke(session, COMMAND, await tenant_keys.found(session, made.row.id, tenant_id=None))

    house.passed = timedelta(seconds=REMEMBER_S)

    assert REMEMBER_S == 2
    with pytest.raises(Unauthenticated):
        await house.authenticator.caller(made.key)


async def test_a_suspended_tenants_keys_are_refused_but_an_operators_and_resuming_mends_it(house: House) -> None:
    made, operators = await house.make(), await house.make(operator=True)
    await house.authenticator.caller(made.key)
    async with house.database.transaction() as session:
        await tenants.suspend(session, COMMAND, house.tenant_id, "unpaid")
    house.passed = timedelta(seconds=2)

    with pytest.raises(TenantSuspended):
        await house.authenticator.caller(made.key)
    assert (await house.authenticator.caller(operators.key)).operator

    async with house.database.transaction() as session:
        await tenants.resume(session, COMMAND, house.tenant_id, "paid")
    assert (await house.authenticator.caller(made.key)).key_id == made.row.id


async def test_who_guesses_keys_is_told_to_wait_while_known_keys_from_the_same_address_go_on(house: House) -> None:
    made = await house.make()
    await house.authenticator.caller(made.key, address=PLACE)
    for _ in range(PER_MINUTE):
        with pytest.raises(Unauthenticated):
            await house.authenticator.caller(keys.new_key(), address=PLACE)

    with pytest.raises(RateLimited):
        await house.authenticator.caller(keys.new_key(), address=PLACE)
    house.passed = timedelta(seconds=REMEMBER_S)  # and the database is asked about it once more
    with pytest.raises(Unauthenticated):  # the one try that is free again by then
        await house.authenticator.caller(keys.new_key(), address=PLACE)
    assert (await house.authenticator.caller(made.key, address=PLACE)).key_id == made.row.id
    with pytest.raises(Unauthenticated):
        await house.authenticator.caller(keys.new_key(), address="192.0.2.8")


async def test_a_suspended_tenants_key_is_not_counted_as_a_wrong_one(house: House) -> None:
    made = await house.make()
    async with house.database.transaction() as session:
        await tenants.suspend(session, COMMAND, house.tenant_id, "unpaid")

    for _ in range(PER_MINUTE + 1):
        with pytest.raises(TenantSuspended):
            await house.authenticator.caller(made.key, address=PLACE)


async def test_of_too_many_known_keys_the_one_that_was_not_looked_up_for_longest_is_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.authentication.MAX_REMEMBERED", 2)
    made = [await house.make() for _ in range(3)]
    for one in made:
        await house.authenticator.caller(one.key, address=PLACE)

    for _ in range(PER_MINUTE):
        with pytest.raises(Unauthenticated):
            await house.authenticator.caller(keys.new_key(), address=PLACE)

    known = [await house.authenticator.caller(one.key, address=PLACE) for one in made[1:]]
    assert [caller.key_id for caller in known] == [one.row.id for one in made[1:]]
    with pytest.raises(RateLimited):
        await house.authenticator.caller(made[0].key, address=PLACE)


async def test_the_last_use_of_a_key_is_written_beside_the_request(house: House) -> None:
    made, unused = await house.make(), await house.make()
    began = now()

    async with house.key_use.running():
        await house.authenticator.caller(made.key)

    used_at = (await house.row(made.row.id)).last_used_at
    assert used_at is not None
    assert began <= used_at <= now()
    assert (await house.row(unused.row.id)).last_used_at is None


async def test_a_key_that_is_used_all_the_time_is_written_once_a_minute(house: House) -> None:
    made = await house.make()
    async with house.key_use.running():
        await house.authenticator.caller(made.key)
    first = (await house.row(made.row.id)).last_used_at

    async with house.key_use.running():
        for _ in range(100):
            await house.authenticator.caller(made.key)

    assert (await house.row(made.row.id)).last_used_at == first


async def test_a_tenant_has_a_hundred_valid_keys_at_most(house: House) -> None:
    made = [await house.make() for _ in range(tenant_keys.MOST_KEYS)]

    with pytest.raises(TooManyKeys):
        await house.make()
    await house.rotate(made[0].row.id, timedelta(hours=24))
    async with house.database.transaction() as session:
        await tenant_keys.revoke(session, COMMAND, await tenant_keys.found(session, made[1].row.id, tenant_id=None))
    assert (await house.make()).row.replaced_by is None
