"""Following a generation on the screen to its end, saving its pictures and saying how it ended."""

from datetime import datetime
from pathlib import Path

from rich.markup import escape

from commands.exit_codes import ExitCode, of_status
from commands.generation_view import GenerationView
from commands.http_client import DioramaClient, Json
from commands.saving import save
from commands.screen import Screen


async def watch_to_end(screen: Screen, client: DioramaClient, generation_id: str, kind: str) -> Json:
    """Show every event; returns the generation as it ended. Raises RequestRefused, ServerUnreachable."""
    with GenerationView(screen, kind) as view:
        async for event in client.follow(generation_id):
            view.show(event)
    return await client.generation(generation_id)


async def conclude(screen: Screen, client: DioramaClient, generation: Json, out: Path | None) -> ExitCode:
    """Save the pictures, tell the end; returns the exit code that it means."""
    if out is not None and generation["status"] == "succeeded":
        await save(screen, client, generation, out)
    code = of_status(generation["status"])
    took = seconds(generation)
    screen.record("result", exit_code=code, seconds=took, generation=generation)
    screen.say(_ending(generation, took))
    return code


def seconds(generation: Json) -> float | None:
    """From acceptance to the end; None while it goes on."""
    if not generation["finished_at"]:
        return None
    began, ended = (datetime.fromisoformat(generation[name]) for name in ("created_at", "finished_at"))
    return round((ended - began).total_seconds(), 2)


def _ending(generation: Json, took: float | None) -> str:
    error = generation["error"]
    cost = f"cost {generation['cost_usd'] or 0} USD, took {took} s"
    match generation["status"]:
        case "succeeded":
            return f"[green]succeeded[/green]: {cost}"
        case "canceled":
            return f"[yellow]canceled[/yellow]: {cost}{_left_behind(generation)}"
        case status:
            words = f"{_reason(error)} ({cost})" if error else f"({cost})"
            return f"[red]{status}[/red]: {words}{_left_behind(generation)}{_other_words(error)}"


def _reason(error: Json) -> str:
    """What went wrong and what to do; a detail that only repeats the title is said once."""
    said = dict.fromkeys(str(error[name]).rstrip(".") for name in ("title", "detail", "suggestion") if error[name])
    return f"{'. '.join(said)}."


def _other_words(error: Json | None) -> str:
    suggested = error.get("suggested_prompt") if error else None
    return f"\n  in other words, perhaps: {escape(str(suggested))}" if suggested else ""


def _left_behind(generation: Json) -> str:
    deleted = sum(len(report["deleted_assets"]) for report in generation["rollback"])
    remaining = [what for report in generation["rollback"] for what in report["remaining"]]
    words = f"; taken back: {deleted} pictures" if deleted else ""
    return words + (f"; could not be taken back: {', '.join(remaining)}" if remaining else "")
