"""The settings of the servers, for commands that use the database directly."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from config import Settings, explain, secrets_in_files
from deploy.checkup_settings import GivenSettings
from deploy.environment import stack_environment
from deploy.options import FOR_PEOPLE
from deploy.running import running
from deploy.stack_state import load_secrets, load_state
from errors import ConfigurationError


async def server_environment(stack_dir: Path) -> Mapping[str, str]:
    """The environment with its DIORAMA_* variables; those of the running stack when it has no database of its own."""
    if "DIORAMA_DATABASE_URL" in os.environ or await running(stack_dir) is None:
        return os.environ
    secrets = load_secrets(stack_dir)
    if secrets is None:
        return os.environ
    return {**os.environ, **stack_environment(load_state(stack_dir).ports, secrets, FOR_PEOPLE, os.environ)}


async def server_settings(stack_dir: Path) -> Settings:
    """The settings that follow from it, or from .env. Raises ConfigurationError, naming what is missing or wrong."""
    environment = await server_environment(stack_dir)
    prefix = "DIORAMA_"
    given = {name.removeprefix(prefix).lower(): text for name, text in environment.items() if name.startswith(prefix)}
    try:
        return GivenSettings.model_validate(given | secrets_in_files(given))
    except ValidationError as error:
        raise ConfigurationError(explain(error)) from None
