"""Which places URLs may lead to, and single requests that go there: addresses, names, ports, trust."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from errors import HostUnreachable, UrlForbidden
from public_http.addresses import is_public
from public_http.client import PublicHttp
from public_http.places import PublicPlaces, Resolve

PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",  # noqa: S104 an address to refuse
    "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "168.63.129.16", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::",
    "2001:0:7f00:1::", "2001:db8::1", "100::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_recognised(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_recognised(address: str) -> None:
    assert is_public(address)


def resolving_to(*addresses: str) -> Resolve:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolve


async def unknown(_host: str, _port: int) -> list[str]:
    raise OSError("no such name")


@pytest.mark.parametrize("address", PRIVATE)
async def test_one_private_address_among_public_ones_spoils_a_name(address: str) -> None:
    places = PublicPlaces(frozenset(), resolving_to("8.8.8.8", address))

    with pytest.raises(UrlForbidden):
        await places.check("https://hooks.example/")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/", "https://hooks.example:8443/", "https://user@hooks.example/", "https://:pw@hooks.example/",
        "ftp://hooks.example/", "file:///etc/passwd", "//hooks.example/", "https://", "", "https://[::1",
        "https://hooks.example:99999/",
    ],
)  # fmt: skip
async def test_a_url_that_is_not_https_on_its_own_port_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(UrlForbidden):
        await PublicPlaces(frozenset(), resolving_to("8.8.8.8")).check(url)


async def test_a_public_name_and_a_name_that_nobody_knows_yet_pass_the_check_ahead() -> None:
    await PublicPlaces(frozenset(), resolving_to("8.8.8.8")).check("https://hooks.example/path?query=1")
    await PublicPlaces(frozenset(), unknown).check("https://hooks.example/")


async def test_a_trusted_place_may_be_private_and_plain_but_only_under_its_name_and_port() -> None:
    places = PublicPlaces(frozenset({"127.0.0.1:8080"}), resolving_to("127.0.0.1"))

    await places.check("http://127.0.0.1:8080/hook")
    for url in ("http://localhost:8080/hook", "http://127.0.0.1:8081/hook", "https://127.0.0.1/"):
        with pytest.raises(UrlForbidden):
            await places.check(url)


async def test_a_name_that_nobody_knows_cannot_be_connected_to() -> None:
    http = PublicHttp(PublicPlaces(frozenset(), unknown))

    with pytest.raises(HostUnreachable, match="could not be resolved"):
        async with http.stream("POST", http.places.url("https://hooks.example/"), []):
            pass


async def test_a_name_that_passed_the_check_and_then_turned_private_is_not_connected_to() -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])

    async def rebinding(_host: str, _port: int) -> list[str]:
        return next(answers)

    http = PublicHttp(PublicPlaces(frozenset(), rebinding))
    await http.places.check("https://rebinding.example/")

    with pytest.raises(UrlForbidden):
        async with http.stream("POST", http.places.url("https://rebinding.example/"), []):
            pass


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers 204 to everything, and remembers the heads of the requests."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heads


async def test_the_connection_goes_to_the_address_that_was_checked_and_the_name_stays_in_the_request() -> None:
    async with listening() as (port, heads):
        asked: list[str] = []

        async def resolve(host: str, _port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        http = PublicHttp(PublicPlaces(frozenset({f"hooks.example:{port}"}), resolve))
        async with http.stream("POST", http.places.url(f"http://hooks.example:{port}/in?a=1"), [], b"{}") as response:
            status = response.status
        await http.close()

    assert status == 204
    assert asked == ["hooks.example"]
    assert heads[0].startswith(b"POST /in?a=1 HTTP/1.1\r\n")
    assert f"Host: hooks.example:{port}\r\n".encode() in heads[0]


async def test_no_connection_is_kept_and_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with listening() as (port, heads):
        http = PublicHttp(PublicPlaces(frozenset({f"127.0.0.1:{port}"})))
        for _ in range(2):
            async with http.stream("GET", http.places.url(f"http://127.0.0.1:{port}/"), []) as response:
                assert response.status == 204
        assert http._pool.connections == []
        await http.close()

    assert len(heads) == 2
