"""`diorama codec`."""

import socket
from pathlib import Path
from typing import Annotated, Final

import typer
import uvicorn

from api.codec_server import create_codec_app
from api.cross_origin import is_origin
from commands.exit_codes import ExitCode
from commands.options import STACK_DIR, StackDir
from commands.running import run
from commands.screen import Screen
from commands.server_settings import server_settings
from deploy.addresses import StackAddresses
from deploy.running import running
from engine.payload_codec import EncryptedPayloads
from errors import ConfigurationError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
DEV_SERVERS_UI: Final = "http://localhost:8233"

app = typer.Typer(add_completion=False)


def page_origins(given: list[str] | None) -> list[str]:
    """The origins that were named, as browsers say them, as an option's callback. Raises typer.BadParameter."""
    origins = [origin.strip().rstrip("/") for origin in given or ()]
    for origin in origins:
        if not is_origin(origin):
            raise typer.BadParameter(f"'{origin}' is no origin such as {DEV_SERVERS_UI}.")
    return origins


def usual_origins(stack: StackAddresses | None) -> list[str]:
    """Where a Web UI is when nobody says where: at Temporal's dev server, and in the running local stack, by both of its names."""
    ours = [stack.temporal_ui_url, stack.temporal_ui_url.replace("127.0.0.1", "localhost")] if stack else []
    return [*ours, DEV_SERVERS_UI]


@app.command()
def codec(
    host: Annotated[
        str, typer.Option(help="The address to listen on; beyond loopback DIORAMA_CODEC_TOKEN is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8081,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            callback=page_origins,
            help=f"Origin of Temporal's Web UI; repeat it for more. Default: the running local stack's, and {DEV_SERVERS_UI}.",
        ),
    ] = None,
    stack_dir: StackDir = STACK_DIR,
) -> None:
    """Show Temporal's Web UI and command line what DIORAMA_PAYLOAD_KEYS encrypts.

    In the Web UI set the codec server's endpoint to http://127.0.0.1:8081; the command line takes --codec-endpoint.
    """
    screen = Screen(as_json=False)
    run(screen, _serve(screen, host, port, origin or [], stack_dir))


async def _serve(screen: Screen, host: str, port: int, origins: list[str], stack_dir: Path) -> ExitCode:
    settings = await server_settings(stack_dir)
    ring = settings.payload_key_ring
    if ring is None:
        raise ConfigurationError("DIORAMA_PAYLOAD_KEYS is not set: there is nothing to decode.")
    token = settings.codec_token.get_secret_value() if settings.codec_token else None
    if token is None and host not in LOOPBACK:
        raise ConfigurationError(f"Set DIORAMA_CODEC_TOKEN to listen on {host}: whoever reaches it reads everything.")
    allowed = origins or usual_origins(await running(stack_dir))
    application = create_codec_app(EncryptedPayloads(ring), origins=allowed, token=token)
    with _listening(host, port) as listening:
        screen.say(f"The codec server listens on http://{host}:{port}, for pages of {', '.join(allowed)}.")
        # The application has no lifespan; uvicorn's own task for one would end with a traceback at Ctrl-C.
        config = uvicorn.Config(application, log_level="warning", lifespan="off", server_header=False)
        await uvicorn.Server(config).serve(sockets=[listening])
    return ExitCode.ok


def _listening(host: str, port: int) -> socket.socket:
    """The socket to serve on. Raises typer.BadParameter: this is no address of ours, or somebody listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise typer.BadParameter(f"Nothing can listen on {host}:{port}: {error.strerror}.") from None
