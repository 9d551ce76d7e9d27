"""The services of one stack, wired from what it remembers and what was chosen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.environment import stack_environment, without_proxy
from deploy.leftovers import ROOT_MARK
from deploy.options import StackOptions
from deploy.postgres import postgres_service
from deploy.programs import api_service, migrations_service, sandbox_service, worker_service
from deploy.python_path import PYTHON_PATH
from deploy.schema_mark import schema_mark
from deploy.service import Identity, Service
from deploy.stack_secrets import StackSecrets
from deploy.store import store_service
from deploy.temporal import temporal_service

# Foreign servers get nothing else of the caller's environment: many variables would change what they do.
PASSED_TO_SERVERS = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class StackPlan:
    """Everything that decides how the services of a run are started. `callers` is the caller's environment."""

    root: Path
    ports: Mapping[str, int]
    secrets: StackSecrets
    options: StackOptions
    callers: Mapping[str, str]
    identity: Identity = "ourselves"


def server_environment(root: Path, callers: Mapping[str, str]) -> dict[str, str]:
    """The environment of a foreign server; HOME is in the stack, so that nothing is written elsewhere."""
    passed = {name: callers[name] for name in PASSED_TO_SERVERS if name in callers}
    return {**passed, "HOME": str(root), "PYTHONPATH": PYTHON_PATH, ROOT_MARK: str(root)}


def build_services(plan: StackPlan, names: frozenset[str]) -> list[Service]:
    """The named services, in the order in which they are shown. Raises BinaryMissing."""
    root, ports, secrets, options = plan.root, plan.ports, plan.secrets, plan.options
    servers = server_environment(root, plan.callers)
    variables = stack_environment(ports, secrets, options, plan.callers)
    marked = {**plan.callers, "PYTHONPATH": PYTHON_PATH, "PYTHONUNBUFFERED": "1", ROOT_MARK: str(root)}
    programs = {**marked, **without_proxy(plan.callers), **variables}
    # Our programs run where the caller stands, so that a .env file there can add settings.
    here = Path.cwd()
    mark = schema_mark(root / "postgres", bootstrap_key=secrets.bootstrap_api_key)
    if mark.is_current:
        names = names - {"migrations"}
    makers: dict[str, Callable[[], Service]] = {
        "postgres": lambda: postgres_service(
            root / "postgres",
            port=ports["postgres"],
            secrets=secrets,
            environment=servers,
            identity=plan.identity,
            fsync=options.fsync,
        ),
        "temporal": lambda: temporal_service(root / "temporal", ports=ports, environment=servers),
        "store": lambda: store_service(root / "store", ports=ports, secrets=secrets, environment=servers),
        "sandbox": lambda: sandbox_service(
            root / "sandbox",
            port=ports["sandbox"],
            secrets=secrets,
            options=options,
            environment={**marked, **without_proxy(plan.callers)},
        ),
        "migrations": lambda: migrations_service(here, mark=mark, environment=programs),
        "api": lambda: api_service(here, port=ports["api"], environment=programs),
        "worker": lambda: worker_service(here, health_port=ports["worker_health"], environment=programs),
    }
    services = [make() for name, make in makers.items() if name in names]
    return [replace(service, ready_timeout_s=options.ready_timeout_s) for service in services]
