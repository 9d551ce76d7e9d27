"""An attack: one tenant names what is another's, and must be told what it would be told of something that never was."""

import re
from collections.abc import Iterator
from uuid import UUID, uuid4

from api import cursors
from tests.integration.isolation.belongings import TRACE, Belongings
from tests.integration.isolation.known_ways import Target
from tests.integration.isolation.sending import Answer, request_of, send

_TRACED = re.compile(rf"\d\.\d*{TRACE}\b")


def never_was(thing: str, value: str) -> str:
    """Of the same form, and nobody's."""
    if thing == "cursor":  # a neighbour, so that no row lies between the two
        return cursors.encode(UUID(int=cursors.decode(value).int ^ 1))
    fresh = uuid4().hex
    if _is_uuid(value):
        return str(uuid4())
    prefix = value[: value.index(":") + 1] if thing == "actor" else ""
    return prefix + (fresh * 4)[: len(value) - len(prefix)]


def guesses(thing: str, value: str) -> Iterator[str]:
    """The id itself, the same spelled otherwise, and two that are a digit away from it."""
    yield value
    if _is_uuid(value):
        yield value.upper()
        yield value.replace("-", "")
    if thing != "cursor":
        yield _tampered(value, len(value) - 1)
        yield _tampered(value, len(value) - 3)


def _tampered(value: str, place: int) -> str:
    other = "1" if value[place] == "0" else "0"
    return value[:place] + other + value[place + 1 :]


def _is_uuid(value: str) -> bool:
    return len(value) == 36 and value.count("-") == 4


async def attack(target: Target, attacker: Belongings, victim: Belongings) -> list[str]:
    """What the attacker learned, in sentences; nothing when all is well."""
    learned: list[str] = []
    for theirs in _theirs(target, victim):
        nobodys = never_was(target.thing, theirs)
        expected = await _answer(target, nobodys, attacker)
        for guess in guesses(target.thing, theirs):
            answer = await _answer(target, guess, attacker)
            if answer.alike != expected.alike:
                told = f"{target}: {guess!r} is another tenant's, and is answered with {answer.alike}"
                learned.append(f"{told}; {nobodys!r}, which never was, with {expected.alike}")
            sent = request_of(target, guess, attacker).text
            learned += [f"{target}: the answer shows {mark!r}" for mark in shown(answer, victim) if mark not in sent]
    return learned


async def opens_for_its_owner(target: Target, owner: Belongings, operator: Belongings) -> bool:
    """Whether the same request of somebody who may is answered otherwise: only then the attack went as far as it could."""
    for theirs in _theirs(target, owner):
        nobodys = never_was(target.thing, theirs)
        refused = await _answer(target, nobodys, owner)
        sender = operator if refused.status == 403 else owner
        expected = await _answer(target, nobodys, sender)
        if (await _answer(target, theirs, sender)).alike != expected.alike:
            return True
    return False


def shown(answer: Answer, victim: Belongings) -> list[str]:
    """What of the victim's can be read in an answer: its ids, names and keys, and its amounts of money."""
    return [mark for mark in victim.marks if mark in answer.text] + _TRACED.findall(answer.text)


def _theirs(target: Target, victim: Belongings) -> tuple[str, ...]:
    return victim.things[target.thing]


async def _answer(target: Target, value: str, sender: Belongings) -> Answer:
    return await send(sender.tenant.client, request_of(target, value, sender), named=value)
