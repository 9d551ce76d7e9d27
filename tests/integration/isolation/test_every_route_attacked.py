"""Two tenants, and every route of the application: what is another's is answered like what never was, and stays as it is.

The tests come from the application's own table of routes: a new route is attacked by itself, or fails here with a sentence that
says what to add.
"""

from typing import Final

import aiohttp
import pytest
from yarl import URL

from api.app import create_app
from tests.integration.api.running_api import RunningApi, settings_for
from tests.integration.isolation.attacking import attack, opens_for_its_owner, shown
from tests.integration.isolation.belongings import Belongings
from tests.integration.isolation.known_ways import Target, UnknownWay, targets
from tests.integration.isolation.sending import send, whole_request
from tests.integration.isolation.snapshots import snapshot
from tests.integration.isolation.surface import FILES, Door, doors

DOORS: Final = doors(create_app(settings_for("postgresql+asyncpg://nobody/nothing", "127.0.0.1:9")))


def known(door: Door) -> list[Target]:
    """The door's targets, or none: a test of its own says what is not known."""
    try:
        return targets(door)
    except UnknownWay:
        return []


def ids_of(door: Door) -> list[Target]:
    """What it names by an id that was given to it."""
    return [target for target in known(door) if not target.is_own_word]


def words_of(door: Door) -> list[Target]:
    """What it names by a word of its own."""
    return [target for target in known(door) if target.is_own_word]


ATTACKED: Final = [door for door in DOORS if known(door)]
OTHERS: Final = [door for door in DOORS if door not in ATTACKED and door.method != FILES]
# No answer tells whether there is one: webhooks that nobody signed are all refused alike, and a quote promises nothing by another
# one. Words of the sender's own are taken for what they are, and a cursor leads nowhere but through one's own list.
SILENT: Final = {
    "POST /v1/webhooks/{provider}/{token} by path token (token)",
    "POST /v1/quotes by body quote_id (quote)",
}
OPENING: Final = {
    door: [
        target
        for target in known(door)
        if str(target) not in SILENT
        and target.thing != "cursor"
        and not (target.is_own_word and target.place.where == "body")
    ]
    for door in ATTACKED
}


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_somebody_said_how_each_route_can_be_attacked(door: Door) -> None:
    targets(door)


@pytest.mark.parametrize("door", [door for door in ATTACKED if ids_of(door)], ids=str)
async def test_what_is_anothers_is_answered_like_what_never_was_and_stays_as_it_is(
    door: Door, attacker: Belongings, victim: Belongings
) -> None:
    before = await snapshot(victim.tenant)

    learned = [told for target in ids_of(door) for told in await attack(target, attacker, victim)]

    assert not learned, "\n".join(learned)
    assert before.changes(await snapshot(victim.tenant)) == {}


@pytest.mark.parametrize("door", [door for door in ATTACKED if words_of(door)], ids=str)
async def test_whoever_uses_anothers_words_is_answered_as_if_nobody_used_them(
    door: Door, owner: Belongings, victim: Belongings
) -> None:
    before = await snapshot(victim.tenant)

    learned = [told for target in words_of(door) for told in await attack(target, owner, victim)]

    assert not learned, "\n".join(learned)
    assert before.changes(await snapshot(victim.tenant)) == {}


@pytest.mark.parametrize("door", [door for door, opening in OPENING.items() if opening], ids=str)
async def test_the_same_request_of_somebody_who_may_goes_through(
    door: Door, owner: Belongings, operator: Belongings
) -> None:
    closed = [str(target) for target in OPENING[door] if not await opens_for_its_owner(target, owner, operator)]

    assert closed == [], "these attacks prove nothing: what they ask for is refused to everybody"


@pytest.mark.parametrize("door", OTHERS, ids=str)
async def test_what_a_tenant_asks_for_without_naming_anything_meets_nothing_of_another(
    door: Door, attacker: Belongings, victim: Belongings
) -> None:
    before = await snapshot(victim.tenant)

    answer = await send(attacker.tenant.client, whole_request(door, attacker))

    assert answer.status < 500
    assert shown(answer, victim) == []
    assert before.changes(await snapshot(victim.tenant)) == {}


@pytest.mark.parametrize("door", [door for door in DOORS if door.method == FILES], ids=str)
@pytest.mark.parametrize(
    "outside", ["../pyproject.toml", "..%2fapp.py", "%2e%2e/%2e%2e/METADATA", "/etc/passwd", "%00"]
)
async def test_files_for_pages_lead_to_no_others(api: RunningApi, door: Door, outside: str) -> None:
    async with aiohttp.ClientSession() as session:
        answer = await session.get(URL(f"{api.url}{door.path}/{outside}", encoded=True))

    assert answer.status in {400, 404}
