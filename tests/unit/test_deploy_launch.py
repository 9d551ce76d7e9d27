"""The launcher: who a program runs as, and that it dies with its parent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import launch
from deploy.process import LAUNCHER

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up root")


def run(*options: str, command: tuple[str, ...], parent: int | None = None) -> subprocess.CompletedProcess[str]:
    who = str(parent or os.getpid())
    words = [sys.executable, "-I", "-S", str(LAUNCHER), "--parent", who, "--death-signal", "9", *options, "--"]
    return subprocess.run([*words, *command], capture_output=True, text=True, check=False)


def test_the_program_gets_its_arguments_untouched() -> None:
    ran = run(command=("/bin/echo", "--user", "a b", "$HOME", "*"))

    assert ran.stdout == "--user a b $HOME *\n"


def test_a_program_whose_parent_is_gone_is_not_started() -> None:
    ran = run(command=("/bin/echo", "started"), parent=1)

    assert ran.returncode == launch.EXIT_ORPHANED
    assert ran.stdout == ""


def test_a_missing_program_is_named() -> None:
    ran = run(command=("/no/such/program",))

    assert ran.returncode == launch.EXIT_NO_PROGRAM
    assert "/no/such/program" in ran.stderr


def test_the_kernel_is_asked_to_end_the_program_with_its_parent() -> None:
    asks = "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)"

    assert run(command=(sys.executable, "-c", asks)).stdout == "9\n"


@as_root
def test_in_a_user_namespace_root_is_somebody_else_and_still_owns_its_files(tmp_path: Path) -> None:
    shows = f"import os, ctypes; n = ctypes.c_int(); open({str(tmp_path / 'made')!r}, 'w').close(); "
    shows += "ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(os.geteuid(), n.value)"
    ran = run("--user-namespace", command=(sys.executable, "-c", shows))
    if ran.returncode == launch.EXIT_NO_NAMESPACE:
        pytest.skip("user namespaces are refused here")

    assert ran.stdout == f"{launch.NAMESPACE_USER_ID} 9\n"
    assert (tmp_path / "made").stat().st_uid == os.geteuid()


@as_root
def test_as_a_system_user_root_is_given_up_for_good() -> None:
    ran = run("--user", "nobody", command=("/bin/sh", "-c", "id -un; id -Gn"))

    assert ran.stdout.split()[0] == "nobody"
    assert "root" not in ran.stdout
