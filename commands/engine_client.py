"""The engine, for commands that need no API: reached, or a clear word why not."""

from temporalio.client import Client

from commands.troubles import ServerUnreachable
from config import Settings
from temporal_client import connect, data_converter


class EngineAway(ServerUnreachable):
    """Temporal does not answer this command."""

    code = "engine_unreachable"
    title = "Temporal cannot be reached"
    suggestion = "Start it, or correct DIORAMA_TEMPORAL_ADDRESS; `diorama up` starts one."


async def engine_client(settings: Settings) -> Client:
    """A connected client of the settings' engine. Raises EngineAway."""
    converter = data_converter(settings.payload_key_ring)
    try:
        return await connect(settings.temporal_address, settings.temporal_namespace, converter=converter)
    except RuntimeError as trouble:  # what the SDK raises when nobody answers
        raise EngineAway(f"No answer from Temporal at {settings.temporal_address}.") from trouble
