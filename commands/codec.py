"""`diorama codec`."""

from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from api.codec_server import create_codec_app
from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from engine.payload_codec import EncryptedPayloads
from errors import ConfigurationError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

app = typer.Typer(add_completion=False)


@app.command()
def codec(
    host: Annotated[
        str, typer.Option(help="The address to listen on; beyond loopback DIORAMA_CODEC_TOKEN is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8081,
    origin: Annotated[list[str] | None, typer.Option(help="Origin of Temporal's Web UI; repeat it for more.")] = None,
    stack_dir: StackDir = STACK_DIR,
) -> None:
    """Show Temporal's Web UI and command line what DIORAMA_PAYLOAD_KEYS encrypts.

    In the Web UI set the codec server's endpoint to http://127.0.0.1:8081; the command line takes --codec-endpoint.
    """
    screen = Screen(as_json=False)
    run(screen, _serve(screen, host, port, origin or ["http://localhost:8233"], stack_dir))


async def _serve(screen: Screen, host: str, port: int, origins: list[str], stack_dir: Path) -> ExitCode:
    settings = await server_settings(stack_dir)
    ring = settings.payload_key_ring
    if ring is None:
        raise ConfigurationError("DIORAMA_PAYLOAD_KEYS is not set: there is nothing to decode.")
    token = settings.codec_token.get_secret_value() if settings.codec_token else None
    if token is None and host not in LOOPBACK:
        raise ConfigurationError(f"Set DIORAMA_CODEC_TOKEN to listen on {host}: whoever reaches it reads everything.")
    application = create_codec_app(EncryptedPayloads(ring), origins=origins, token=token)
    screen.say(f"The codec server listens on http://{host}:{port}, for pages of {', '.join(origins)}.")
    server = uvicorn.Server(uvicorn.Config(application, host=host, port=port, log_level="warning", server_header=False))
    await server.serve()
    return ExitCode.ok
