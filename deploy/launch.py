"""Becomes a service's program, after tying its life to the supervisor's.

Run as a script by path, in isolated mode, so that it imports nothing but the standard library (12 ms). It is a program of
its own because work between fork and exec inside the supervisor is unsafe once that process has threads.
"""

import argparse
import ctypes
import os
import pwd
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
CLONE_NEWUSER = 0x10000000  # linux/sched.h
# PostgreSQL refuses user id 0; inside its namespace it may be anyone else. Files keep their real owner.
NAMESPACE_USER_ID = 1000
EXIT_ORPHANED = 120
EXIT_NO_NAMESPACE = 121
EXIT_NO_PROGRAM = 127


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read `--parent PID --death-signal N [--user-namespace | --user NAME] -- PROGRAM ARGUMENT...`."""
    parser = argparse.ArgumentParser(prog="launch")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    identity = parser.add_mutually_exclusive_group()
    identity.add_argument("--user-namespace", action="store_true")
    identity.add_argument("--user")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def enter_user_namespace() -> None:
    """Move this process into a user namespace in which the present user is not root."""
    user_id, group_id = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are refused here")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NAMESPACE_USER_ID} {user_id} 1")
    Path("/proc/self/gid_map").write_text(f"{NAMESPACE_USER_ID} {group_id} 1")


def become_user(name: str) -> None:
    """Give up root for a system user."""
    entry = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Ask the kernel for a signal when the supervisor ends; leave at once if that has happened already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        raise SystemExit(EXIT_ORPHANED)


def main() -> None:
    """Change identity first: the kernel forgets the death signal when credentials change."""
    options = parse_arguments(sys.argv[1:])
    if options.user_namespace:
        try:
            enter_user_namespace()
        except OSError as refusal:
            sys.stderr.write(f"launch: {refusal}\n")
            raise SystemExit(EXIT_NO_NAMESPACE) from None
    elif options.user:
        become_user(options.user)
    die_with_parent(options.parent, options.death_signal)
    try:
        os.execv(options.command[0], options.command)  # noqa: S606  the supervisor's own list, no shell wanted
    except OSError as refusal:
        sys.stderr.write(f"launch: {options.command[0]}: {refusal}\n")
        raise SystemExit(EXIT_NO_PROGRAM) from None


if __name__ == "__main__":
    main()
