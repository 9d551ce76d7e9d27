"""Links to the store open the one object that they were made for, for reading, until they expire; and nothing else."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import httpx
import pytest
from miniopy_async.credentials.credentials import Credentials
from miniopy_async.signer import presign_v4
from yarl import URL

from config import Settings
from tests.integration.isolation.belongings import PICTURE, Belongings
from tests.integration.isolation.snapshots import snapshot
from tests.integration.patience import HTTP_S


@pytest.fixture
async def stranger() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without any key."""
    async with httpx.AsyncClient(timeout=HTTP_S) as client:
        yield client


async def link_of(owner: Belongings) -> str:
    """A link to the owner's finished picture, as the API gives it."""
    answer = await owner.tenant.client.get(f"/v1/assets/{owner.things['asset'][0]}/download")
    assert answer.status_code == 307, answer.text
    return answer.headers["location"]


def path_of(link: str) -> str:
    return urlsplit(link).path


def with_path(link: str, path: str) -> str:
    return urlunsplit(urlsplit(link)._replace(path=path))


def with_word(link: str, name: str, value: str) -> str:
    """The link with another value of one of its parameters."""
    url = urlsplit(link)
    parts = [f"{name}={value}" if one.startswith(f"{name}=") else one for one in url.query.split("&")]
    return urlunsplit(url._replace(query="&".join(parts)))


async def test_a_link_opens_its_picture(stranger: httpx.AsyncClient, victim: Belongings) -> None:
    answer = await stranger.get(await link_of(victim))

    assert (answer.status_code, answer.content) == (200, PICTURE)


async def test_nobody_gets_a_link_to_anothers_picture(attacker: Belongings, victim: Belongings) -> None:
    answers = [await attacker.tenant.client.get(f"/v1/assets/{one}/download") for one in victim.things["asset"]]

    assert {answer.status_code for answer in answers} == {404}


async def test_a_link_leads_to_no_other_object(
    stranger: httpx.AsyncClient, attacker: Belongings, victim: Belongings
) -> None:
    mine, theirs = await link_of(attacker), path_of(await link_of(victim))
    bucket = "/" + theirs.split("/")[1]
    nobodys = theirs.replace(theirs[-9], "0" if theirs[-9] != "0" else "1")
    others = [theirs, nobodys, bucket, f"{bucket}/", f"{bucket}/{victim.tenant.id}/", "/"]

    answers = [await stranger.get(with_path(mine, path)) for path in others]
    dotted = await as_it_is_written(f"{mine.partition('?')[0]}/../../..{theirs}?{urlsplit(mine).query}")

    assert [answer.status_code for answer in answers] == [403] * len(others)
    assert told(answers[0]) == told(answers[1])
    assert PICTURE not in dotted
    assert not any(PICTURE in answer.content for answer in answers)


def told(refusal: httpx.Response) -> str:
    """What a refusal says, but for what was asked for, and for the numbers of the request and of the store."""
    return re.sub(r"<(Key|Resource|RequestId|HostId)>[^<]*</\1>", "", refusal.text)


async def as_it_is_written(url: str) -> bytes:
    """What is answered to a path that other clients would tidy up."""
    async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True)) as answer:
        assert "/../" in str(answer.url)
        return await answer.read()


async def test_without_a_signature_the_store_shows_nothing(stranger: httpx.AsyncClient, victim: Belongings) -> None:
    link = await link_of(victim)
    bare = link.partition("?")[0]
    bucket = bare.removesuffix(path_of(link)) + "/" + path_of(link).split("/")[1]
    forged = with_word(link, "X-Amz-Signature", "0" * 64)

    answers = [await stranger.get(url) for url in (bare, bucket, f"{bucket}?list-type=2", forged)]

    assert {answer.status_code for answer in answers} == {403}
    assert not any(str(victim.tenant.id) in answer.text for answer in answers[1:3])


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "HEAD"])
async def test_a_link_for_reading_changes_nothing(stranger: httpx.AsyncClient, victim: Belongings, method: str) -> None:
    before = await snapshot(victim.tenant)
    link = await link_of(victim)

    answer = await stranger.request(method, link, content=b"mine now" if method in {"PUT", "POST"} else None)

    assert answer.status_code in {400, 403, 405, 412}
    assert before.changes(await snapshot(victim.tenant)) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Amz-Expires", "604800"),
        ("X-Amz-Date", "20990101T000000Z"),
        ("X-Amz-SignedHeaders", "date"),
        ("response-content-disposition", "inline"),
    ],
)
async def test_a_link_cannot_be_made_to_last_or_to_mean_something_else(
    stranger: httpx.AsyncClient, victim: Belongings, name: str, value: str
) -> None:
    link = await link_of(victim)
    changed = with_word(link, name, value)

    answer = await stranger.get(changed)

    assert changed != link
    assert answer.status_code in {400, 403}
    assert PICTURE not in answer.content


async def test_a_link_that_has_expired_opens_nothing(
    stranger: httpx.AsyncClient, servers: Settings, victim: Belongings
) -> None:
    link = await link_of(victim)
    long_ago, just_now = [signed_at(link, servers, age_s=age_s) for age_s in (601, 300)]

    late, early = await stranger.get(long_ago), await stranger.get(just_now)

    assert (early.status_code, early.content) == (200, PICTURE)
    assert late.status_code in {400, 403}
    assert PICTURE not in late.content


def signed_at(link: str, servers: Settings, *, age_s: int) -> str:
    """The link as the API would have made it so many seconds ago, for ten minutes."""
    credentials = Credentials(servers.store_access_key, servers.store_secret_key.get_secret_value())
    moment = datetime.now(UTC) - timedelta(seconds=age_s)
    return str(
        urlunsplit(
            presign_v4("GET", urlsplit(link)._replace(query=""), "us-east-1", credentials, moment, 600),
        )
    )
