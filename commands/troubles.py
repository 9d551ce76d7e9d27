"""What can go wrong between this command line and a Diorama server."""

from collections.abc import Mapping
from typing import Any

from errors import ConfigurationError, DioramaError


class ServerUnreachable(DioramaError):
    """Nobody answers, or the server cannot serve at present."""

    code = "server_unreachable"
    title = "The Diorama server cannot be reached"
    suggestion = "Start one with `diorama up`, or say where it is with --api-url or DIORAMA_API_URL."


class DatabaseAway(ServerUnreachable):
    """PostgreSQL does not answer this command."""

    code = "database_unreachable"
    title = "The database cannot be reached"
    suggestion = "Start it, or correct DIORAMA_DATABASE_URL; `diorama up` starts one."


class RequestRefused(DioramaError):
    """The API answered with a problem; `problem` is its RFC 9457 document."""

    code = "request_refused"
    title = "The server refused the request"

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        said = [str(problem.get("detail") or problem.get("title") or f"The server answered {status}").rstrip(".")]
        said += [f"{field.get('pointer')}: {field.get('detail')}" for field in problem.get("errors", ())]
        if "themes" in problem:
            said.append(f"There are: {', '.join(problem['themes'])}")
        super().__init__(". ".join(said) + ".", status=status, problem=dict(problem))
        self.status = status
        self.advice = str(problem.get("suggestion", ""))

    @property
    def sound(self) -> bool:
        """Nothing is wrong with the request: what it speaks of has ended, or the server has a fault."""
        return self.status == 409 or self.status >= 500


class CommandUnusable(ConfigurationError):
    """An option or a file of the command line cannot be used. The detail says which; no setting would help."""

    code = "command_unusable"
    title = "The command cannot be carried out as it is"
    suggestion = DioramaError.suggestion


class PictureDamaged(DioramaError):
    """The bytes that arrived are not those that the server stored."""

    code = "picture_damaged"
    title = "A downloaded picture is damaged"
    suggestion = "Run `diorama watch ID --out FOLDER` to fetch it again."
