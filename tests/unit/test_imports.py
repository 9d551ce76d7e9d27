"""Who may import what. Change this table only together with a record in docs/adr/."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

OURS = {
    "activities", "api", "background", "cli", "config", "contracts", "db", "deploy", "engine", "errors", "fault_points", "imaging", "logs", "prompts", "providers",
    "public_http", "sandbox", "storage", "temporal_client", "tests", "worker", "worker_parts", "workflows",
}  # fmt: skip

# package -> what it may import: ours, then foreign
ALLOWED = {
    "errors": "",
    "background": "",
    "fault_points": "",
    "config": "errors contracts | pydantic pydantic_settings",
    "logs": "| structlog",
    "temporal_client": "contracts engine | temporalio",
    "contracts": "errors | pydantic",
    "imaging": "errors contracts | PIL cv2 numpy",
    "prompts": "errors contracts | pydantic",
    "storage": "errors contracts fault_points | miniopy_async aiohttp structlog yarl",
    "db": "errors contracts background fault_points | sqlalchemy sqlmodel asyncpg alembic uuid_utils structlog cryptography",
    "providers": "errors contracts fault_points | httpx openai replicate pydantic structlog",
    "public_http": "errors | httpcore httpx",
    "engine": "errors contracts db | temporalio cryptography",
    "activities": "errors contracts background db engine storage providers prompts imaging public_http"
    " | temporalio structlog pydantic sqlmodel prometheus_client standardwebhooks",
    "workflows": "errors contracts activities | temporalio",
    "api": "errors contracts background fault_points db engine storage providers prompts imaging public_http workflows temporal_client config logs"
    " | anyio fastapi starlette pydantic sqlmodel temporalio structlog httpx prometheus_client standardwebhooks"
    " uvicorn pydantic_core google",
    "sandbox": "| fastapi starlette uvicorn httpx pydantic PIL cv2 numpy dicebear resvg_py standardwebhooks"
    " pydantic_core",
}
# (a file or package, what it may not import although its row allows the package)
NARROWER = [
    ("activities", "storage.minio_storage storage.memory providers.replicate providers.openai_images providers.getimg"),
    ("activities", "providers.wavespeed"),
    ("activities", "db.migrate"),
    (
        "api",
        "providers.replicate providers.openai_images providers.getimg providers.wavespeed providers.base storage.memory",
    ),
]
ROOTS_OF_CONFIG = {
    "worker.py",
    "worker_parts/providers.py",
    "worker_parts/servers.py",
    "cli.py",
    "api/app.py",
    "api/assembly.py",
    "api/parts.py",
    "api/__main__.py",
}
# Only these may be imported by nobody but tests.
NOBODYS = {"worker", "cli", "commands", "deploy", "tests"}


def files(package: str) -> list[Path]:
    return [path for path in [ROOT / f"{package}.py", *(ROOT / package).rglob("*.py")] if path.is_file()]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def matches(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_the_table_allows(package: str) -> None:
    allowed = {package, *ALLOWED[package].replace("|", " ").split(), *sys.stdlib_module_names}

    strays = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(package)
        for name in imported(path)
        if name.partition(".")[0] not in allowed
    }

    assert strays == set()


@pytest.mark.parametrize(("package", "forbidden"), NARROWER)
def test_a_package_imports_seams_and_not_what_is_behind_them(package: str, forbidden: str) -> None:
    strays = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(package)
        for name in imported(path)
        if any(matches(name, module) for module in forbidden.split())
    }

    assert strays == set()


@pytest.mark.parametrize("package", sorted((OURS | {"commands"}) - {"errors"}))
def test_errors_are_imported_from_their_package_and_not_from_its_files(package: str) -> None:
    areas = {f"errors.{path.stem}" for path in files("errors")}
    strays = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(package)
        for name in imported(path)
        if any(matches(name, area) for area in areas)
    }

    assert strays == set()


@pytest.mark.parametrize("package", sorted(set(ALLOWED) | {"worker", "worker_health"}))
def test_settings_are_read_by_the_roots_only_and_nobody_imports_a_root(package: str) -> None:
    strays = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(package)
        for name in imported(path)
        if (name.partition(".")[0] == "config" and str(path.relative_to(ROOT)) not in ROOTS_OF_CONFIG)
        or (name.partition(".")[0] in NOBODYS and name.partition(".")[0] != package)
    }

    assert strays == set()


# The openai package takes half a second of each start, and most services never ask it.
ON_DEMAND = {
    ("api/assembly.py", "providers.openai_rewriting"),
    ("api/parts.py", "providers.openai_checks"),
}


@pytest.mark.parametrize("package", sorted(OURS - {"tests", "cli", "deploy"}))
def test_no_import_hides_in_a_function(package: str) -> None:
    hidden = [
        f"{path.relative_to(ROOT)}:{inner.lineno}"
        for path in files(package)
        for outer in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
        if isinstance(inner, ast.Import | ast.ImportFrom)
        and (str(path.relative_to(ROOT)), getattr(inner, "module", None)) not in ON_DEMAND
    ]

    assert hidden == []
