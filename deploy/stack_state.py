"""What a stack remembers between runs: its ports (ROOT/stack.json) and its secrets (ROOT/secrets.json)."""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.failures import StackStateBroken
from deploy.stack_ports import choose_ports
from deploy.stack_secrets import StackSecrets

Model = TypeVar("Model", bound=BaseModel)


class StackState(BaseModel):
    """The content of stack.json; `services` are those that ran last."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ports: dict[str, int] = {}
    services: tuple[str, ...] = ()


def load_state(root: Path) -> StackState:
    """Read stack.json; an absent file is an empty state.

    Raises StackStateBroken: the file is there and is no valid state.
    """
    return _load(StackState, root / "stack.json") or StackState()


def save_state(root: Path, state: StackState) -> None:
    """Write stack.json in one step."""
    _write_private(root / "stack.json", state.model_dump_json(indent=2))


def load_secrets(root: Path) -> StackSecrets | None:
    """Read secrets.json; None when there is none yet.

    Raises StackStateBroken: the file is there and is no valid set of secrets. It is never replaced: the database's
    password is in it, and every API key was hashed with its pepper.
    """
    return _load(StackSecrets, root / "secrets.json")


def ensure_secrets(root: Path) -> StackSecrets:
    """Read secrets.json, making what is missing."""
    secrets = load_secrets(root) or StackSecrets()
    _write_private(root / "secrets.json", secrets.model_dump_json(indent=2))
    return secrets


def ensure_ports(root: Path, *, services: frozenset[str], wanted: dict[str, int]) -> StackState:
    """Choose the ports of a run and remember them.

    Raises PortTaken: one that was asked for by number is in use.
    """
    ports = choose_ports(load_state(root).ports, wanted)
    state = StackState(ports=ports, services=tuple(sorted(services)))
    save_state(root, state)
    return state


def _load(model: type[Model], path: Path) -> Model | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as trouble:
        raise StackStateBroken(path, str(trouble)) from trouble


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
