"""diagnose(): everything that can be seen from outside about a Diorama installation, in words for people."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from deploy.checkup_machine import check_disk, check_ports, check_programs
from deploy.checkup_servers import check_database, check_engine, check_store
from deploy.checkup_settings import check_providers, read_settings
from deploy.finding import Finding

__all__ = ["Finding", "diagnose"]


async def diagnose(environment: Mapping[str, str]) -> list[Finding]:
    """Look at the settings in `environment` (and in .env), at the servers they lead to, and at this machine.

    Changes nothing, never raises for what it finds, and takes about as long as the slowest server's timeout (5 s).
    Without usable settings only the settings and the machine are looked at.
    """
    settings, findings = read_settings(environment)
    checks = [check_programs()]
    if settings is not None:
        findings += check_providers(settings)
        servers = [check_database(settings), check_engine(settings), check_store(settings), check_ports(settings)]
        checks = [*servers, *checks]
    for found in await asyncio.gather(*checks):
        findings += found
    return [*findings, *check_disk(Path.cwd())]
