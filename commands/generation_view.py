"""A generation as it goes on: a progress bar for each picture, or a line for each event where there is no terminal."""

from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from commands.generation_event import GenerationEvent
from commands.screen import Screen

# How many variants there will be, nobody says: each gets its bar when it is first heard of.
VARIANT = "variant-"
STEPS = {"avatar": ("avatar",), "scene": ("scene",), "avatar_scene": ("avatar", "scene"), "enhance": ("enhanced",)}
# Where a picture stands when its provider tells no progress of its own.
ORDERED = 0.05
MADE = 0.95


class GenerationView:
    """Use it as a context manager, and tell it every event."""

    def __init__(self, screen: Screen, kind: str) -> None:
        self._screen = screen
        columns = (TextColumn("{task.description:<10}"), BarColumn(bar_width=24), TextColumn("{task.fields[stage]}"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=screen.console, disable=not screen.is_live)
        self._bars: dict[str, TaskID] = {step: self._new_bar(step) for step in STEPS.get(kind, ())}

    def __enter__(self) -> "GenerationView":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: GenerationEvent) -> None:
        """One event, for people and for machines."""
        self._screen.record("event", event=event.type, seq=event.seq, data=event.data)
        if event.type == "snapshot":
            self._show_snapshot(event.data)
        elif event.type.startswith("picture."):
            self._show_picture(event.type.removeprefix("picture."), event.data)
        elif not event.is_final:
            self._tell(event.type.removeprefix("generation.").replace("_", " "))

    def _show_snapshot(self, generation: dict[str, Any]) -> None:
        for picture in generation.get("pictures", ()):
            self._move(picture["step"], 1.0, "stored")
        self._tell(" ".join(filter(None, [generation["status"], generation.get("stage")])))

    def _show_picture(self, what: str, data: dict[str, Any]) -> None:
        step = str(data.get("step"))
        match what:
            case "submitted":
                self._move(step, ORDERED, f"at {data['provider']}, {data['model']}")
            case "progress":
                self._move(step, ORDERED + (MADE - ORDERED) * float(data["progress"]), None)
            case "stored":
                self._move(step, 1.0, f"stored, {data['cost_usd']} USD")
            case "failover":
                self._move(step, ORDERED, str(data.get("message") or "going on elsewhere"))
            case "deleted":
                self._move(step, 0.0, "taken back")

    def _new_bar(self, step: str) -> TaskID:
        return self._progress.add_task(step, total=1.0, start=False, stage="waiting")

    def _move(self, step: str, completed: float, stage: str | None) -> None:
        bar = self._bars.get(step)
        if bar is None and not step.startswith(VARIANT):
            return
        if bar is None:
            bar = self._bars[step] = self._new_bar(step)
        task = self._progress.tasks[bar]
        if not task.started:
            self._progress.start_task(bar)
        stage = stage or str(task.fields["stage"])
        self._progress.update(bar, completed=completed, stage=stage)
        if completed == 1.0:
            self._progress.stop_task(bar)
        self._tell(f"{step}: {completed:.0%} {stage}")

    def _tell(self, line: str) -> None:
        if not self._screen.is_live:
            self._screen.say(f"  {line}")
