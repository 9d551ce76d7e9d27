"""The lab finds bugs: each of these breaks a promise, and a short run straight at it must show a breach."""

import ast
from collections.abc import AsyncIterator

import pytest

from tests.crash.boundaries import ROOT
from tests.crash.haste import HASTE
from tests.crash.mutations import MUTATIONS, Mutation
from tests.crash.planted import Ground, ground
from tests.crash.trees import Change

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with ground(tmp_path_factory.mktemp("planted")) as there:
        yield there


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.bug)
def test_a_bug_still_has_its_place_in_the_source(mutation: Mutation) -> None:
    source = (ROOT / mutation.file).read_text("utf-8")

    ast.parse(mutation.change.applied(source))
    assert mutation.change.applied(source) != source


@pytest.mark.parametrize("change", HASTE, ids=[change.old.split()[0] for change in HASTE])
def test_a_wait_that_is_shortened_still_has_its_place_in_the_source(change: Change) -> None:
    source = (ROOT / change.file).read_text("utf-8")

    ast.parse(change.applied(source))


async def test_without_a_bug_no_direction_shows_a_breach(servers: Ground) -> None:
    directions = dict.fromkeys(mutation.direction for mutation in MUTATIONS)

    assert await servers.breaches([*directions]) == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.bug)
async def test_a_planted_bug_is_found(servers: Ground, mutation: Mutation) -> None:
    found = await servers.breaches([mutation.direction], mutation)
    if not found:  # some are races, and the right one may win once
        found = await servers.breaches([mutation.direction], mutation)

    assert found != []
