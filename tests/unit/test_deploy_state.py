"""What a stack remembers: ports, secrets, the lock, the logs."""

import base64
import os
import random
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import service_log
from deploy.failures import PortTaken, StackAlreadyRunning, StackStateBroken
from deploy.service_log import ServiceLog
from deploy.stack_lock import StackLock, lock_holder
from deploy.stack_ports import LOOPBACK, PORT_NAMES, choose_ports, claimed, find_free_port, is_free
from deploy.stack_secrets import StackSecrets
from deploy.stack_state import ensure_ports, ensure_secrets, load_state


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as stranger:
        stranger.bind((LOOPBACK, 0))
        stranger.listen()
        yield int(stranger.getsockname()[1])


def test_every_port_is_another_free_one_and_is_remembered(tmp_path: Path) -> None:
    first = ensure_ports(tmp_path, services=frozenset({"api"}), wanted={})
    second = ensure_ports(tmp_path, services=frozenset({"api"}), wanted={})

    assert first == second == load_state(tmp_path)
    assert len(set(first.ports.values())) == len(PORT_NAMES)


def test_a_remembered_port_that_is_taken_is_chosen_anew(taken_port: int) -> None:
    free = find_free_port()
    ports = choose_ports({"api": taken_port, "store": free}, {})

    assert ports["api"] != taken_port
    assert ports["store"] == free


def test_a_wanted_port_wins_over_the_remembered_one() -> None:
    wanted, remembered = find_free_port(), find_free_port()

    assert choose_ports({"api": remembered}, {"api": wanted})["api"] == wanted


def test_a_wanted_port_that_is_taken_is_an_error(taken_port: int) -> None:
    with pytest.raises(PortTaken) as refused:
        choose_ports({}, {"api": taken_port})
    assert refused.value.port == taken_port


def test_a_free_port_is_not_one_that_outgoing_connections_get() -> None:
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(outgoing.read_text().split()[0]) if outgoing.exists() else 32_768

    assert find_free_port() < lowest


def test_a_listening_port_is_not_free(taken_port: int) -> None:
    assert not is_free(taken_port)


@pytest.mark.skipif(sys.platform != "linux", reason="ports are claimed on Linux alone")
def test_a_claimed_port_is_given_to_nobody_else_and_its_own_server_can_listen_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, another = find_free_port(), find_free_port()
    drawn = iter([mine, another])
    monkeypatch.setattr(random, "randrange", lambda *_: next(drawn))

    with claimed([mine]):
        assert find_free_port() == another
        with socket.create_server((LOOPBACK, mine)):
            assert not is_free(mine)
        assert is_free(mine)


def test_secrets_are_made_once_and_only_the_owner_can_read_them(tmp_path: Path) -> None:
    first = ensure_secrets(tmp_path)

    assert ensure_secrets(tmp_path) == first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secrets.json").read_text().count(first.token_secret) == 1


def test_no_two_stacks_share_a_secret() -> None:
    one, two = StackSecrets().model_dump().values(), StackSecrets().model_dump().values()

    assert len({*one, *two}) == 2 * len(StackSecrets.model_fields)


def test_secrets_have_the_forms_that_their_readers_ask_for() -> None:
    secrets = StackSecrets()

    assert re.fullmatch(r"dio_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", secrets.bootstrap_api_key)
    assert secrets.webhook_secret.startswith("whsec_")
    assert len(base64.b64decode(secrets.webhook_secret.removeprefix("whsec_"), validate=True)) == 32
    assert secrets.store_access_key.isalnum()


def test_a_secret_that_an_older_file_lacks_is_made_and_kept(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"token_secret": "old"}')

    mended = ensure_secrets(tmp_path)

    assert mended.token_secret == "old"
    assert ensure_secrets(tmp_path) == mended


@pytest.mark.parametrize("text", ["", "no json", '{"token_secret": 5}'])
def test_broken_secrets_are_never_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.json").write_text(text)

    with pytest.raises(StackStateBroken, match=r"secrets\.json"):
        ensure_secrets(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == text


async def test_the_lock_has_one_holder_and_can_be_taken_after_it(tmp_path: Path) -> None:
    first, second = StackLock(tmp_path), StackLock(tmp_path)
    await first.acquire()
    assert lock_holder(tmp_path) == os.getpid()
    with pytest.raises(StackAlreadyRunning):
        await second.acquire()

    first.release()
    assert lock_holder(tmp_path) is None
    await second.acquire()
    second.release()


async def test_a_stale_lock_file_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(f"{os.getpid()}\n")
    lock = StackLock(tmp_path)

    assert lock_holder(tmp_path) is None
    await lock.acquire()
    lock.release()


def test_a_folder_without_a_stack_has_no_holder(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "nothing") is None


def test_the_last_lines_are_those_of_this_run(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path / "logs" / "it.log")
    for run in ("first", "second"):
        log.begin_run()
        with log.path.open("a") as file:
            file.writelines(f"{run} {number}\n" for number in range(5))

    assert log.last_lines(2) == ("second 3", "second 4")
    assert log.last_lines(100)[0] == "second 0"


def test_a_log_that_has_grown_is_put_aside_and_the_oldest_is_dropped(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_log, "ROTATE_ABOVE_BYTES", 100)
    log = ServiceLog(tmp_path / "it.log")
    for run in range(6):
        log.begin_run()
        with log.path.open("a") as file:
            file.write(f"run {run} " + "x" * 200 + "\n")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.log", "it.log.1", "it.log.2", "it.log.3"]
    assert "run 5" in log.path.read_text()
    assert "run 2" in (tmp_path / "it.log.3").read_text()
