"""How a child Python finds this project's packages, installed or in a working copy."""

import os
from pathlib import Path

PROJECT_FOLDER = Path(__file__).resolve().parent.parent
PYTHON_PATH = os.pathsep.join(
    [str(PROJECT_FOLDER), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))],
)
