"""Installs client libraries that cannot live in the project's own environment, each into a folder of its own.

    python tests/clients/install.py replicate-2

prints the folder, which belongs on PYTHONPATH of a program that is to use the library.
"""

import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent


def installed(name: str) -> Path:
    """The folder of the locked library `name`, installed now if it is not there or the lock has changed."""
    lock = HERE / f"{name}.lock"
    folder = Path(sys.prefix) / "clients" / name
    stamp, digest = folder / "lock.sha256", sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "--target", str(folder), "-r", str(lock)], check=True)
        stamp.write_text(digest)
    return folder


if __name__ == "__main__":
    sys.stdout.write(f"{installed(sys.argv[1])}\n")
