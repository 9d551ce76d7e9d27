"""What a test or an operator asks of the sandbox: bills, journal, clock, settings, faults."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import chain
from typing import Annotated, Any, Literal, Protocol

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from sandbox.charges import ChargeLedger
from sandbox.clock import SandboxClock, from_iso, iso
from sandbox.faults import FaultBoard, UnknownFault
from sandbox.getimg.parts import GetimgParts
from sandbox.journal import Journal
from sandbox.json_text import Json
from sandbox.openai.errors import OpenAIDialect
from sandbox.openai.image_jobs import ImageJobs
from sandbox.replicate.errors import ReplicateDialect
from sandbox.replicate.prediction_book import PredictionBook
from sandbox.settings import Drawing, Settings
from sandbox.wavespeed.parts import WaveSpeedParts
from sandbox.webhooks import WebhookSender

Limit = Annotated[int, Query(ge=1, le=100_000)]
PerMinute = Annotated[float, Field(ge=0)] | Literal["unlimited"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClockForm(_Form):
    """Move the clock by seconds, or to an ISO 8601 time."""

    advance_s: float = 0.0
    at: str | None = None


class FaultForm(_Form):
    """A fault to arm. `match` is a part of the prompt; `times` None strikes until it is disarmed."""

    fault: str
    provider: Literal["any", "replicate", "openai", "getimg", "wavespeed"] = "any"
    operation: str | None = None
    match: str = ""
    times: int | None = Field(None, ge=1)
    params: dict[str, str | int | float | bool] = {}


class WebhooksForm(_Form):
    """How webhooks misbehave."""

    duplicate: bool | None = None
    late_s: float | None = None
    out_of_order: bool | None = None
    drop: bool | None = None


class SettingsForm(_Form):
    """What to change; what is left out stays."""

    drawing: Drawing | None = None
    duration_s: float | None = Field(None, ge=0)
    queue_s: float | None = Field(None, ge=0)
    creates_per_minute: PerMinute | None = None
    reads_per_minute: PerMinute | None = None
    low_credit: bool | None = None
    sync_data_uris: bool | None = None
    webhooks: WebhooksForm | None = None


class CountingDialect(Protocol):
    """What counts how many requests it refused for its rate."""

    refused_for_rate: int


@dataclass(frozen=True, slots=True)
class Office:
    """The parts of the sandbox that an admin sees."""

    clock: SandboxClock
    settings: Settings
    faults: FaultBoard
    journal: Journal
    ledger: ChargeLedger
    predictions: PredictionBook
    images: ImageJobs
    webhooks: WebhookSender
    replicate: ReplicateDialect
    openai: OpenAIDialect
    getimg: GetimgParts
    wavespeed: WaveSpeedParts
    reset: Callable[[], None]

    def jobs(self) -> Iterator[Json]:
        """All jobs of all providers."""
        now = self.clock.now()
        replicate = (
            {
                "id": one.id,
                "provider": "replicate",
                "model": one.model,
                "status": one.phase(now).status,
                "prompt": one.raw_prompt,
                "size": f"{one.plan.width}x{one.plan.height}",
                "created_at": one.created_at,
                "ends_at": one.ends_at() if one.ends_at() != float("inf") else None,
                "webhook": one.webhook,
            }
            for one in self.predictions
        )
        return chain(replicate, self.images.shown(), self.getimg.jobs(), self.wavespeed.jobs(now))

    def told(self) -> list[Json]:
        """The newest webhook deliveries of all providers, oldest first."""
        return sorted([*map(asdict, self.webhooks.sent()), *self.wavespeed.webhooks()], key=lambda row: row["at"])

    @property
    def dialects(self) -> dict[str, CountingDialect]:
        """The providers, each with its count of what it refused for its rate."""
        return {
            "replicate": self.replicate,
            "openai": self.openai,
            "getimg": self.getimg.dialect,
            "wavespeed": self.wavespeed.dialect,
        }

    def summary(self, provider: str) -> Json:
        """Counts of one provider. `creates_accepted` counts all that were charged, those with a lost response too."""
        counts = self.journal.counts
        creates = {status: n for (who, what, status), n in counts.items() if (who, what) == (provider, "create")}
        charges = self.ledger.summary(provider, self.clock.now())
        return {
            "creates": sum(creates.values()),
            "creates_accepted": charges["charges"],
            "creates_by_status": {str(status): n for status, n in sorted(creates.items())},
            "refused_for_rate": self.dialects[provider].refused_for_rate,
            **charges,
        }


def admin_app(office: Office) -> FastAPI:
    """The admin's own small application, with its documentation at /admin/docs."""
    app = FastAPI(title="Sandbox admin")
    _add_reading(app, office)
    _add_steering(app, office)
    _add_faults(app, office)

    @app.exception_handler(UnknownFault)
    async def unknown_fault(_: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 422)

    return app


def _add_reading(app: FastAPI, office: Office) -> None:
    @app.get("/charges")
    async def charges(request: Request, limit: Limit = 10_000) -> list[Json]:
        """The newest charges, oldest first; any field of a row filters: `?provider=replicate&billed=true`."""
        return _newest(office.ledger.rows(office.clock.now()), _filters(request), limit)

    @app.get("/journal")
    async def journal(request: Request, limit: Limit = 1000) -> list[Json]:
        """The newest requests, oldest first; any field of an entry filters: `?operation=create&status=201`."""
        return office.journal.entries(_filters(request), limit)

    @app.get("/jobs")
    async def jobs(request: Request, limit: Limit = 10_000) -> list[Json]:
        """The newest jobs, oldest first; any field filters."""
        return _newest(office.jobs(), _filters(request), limit)

    @app.get("/webhooks")
    async def webhooks(request: Request, limit: Limit = 1000) -> list[Json]:
        """The newest webhook deliveries, oldest first; any field filters."""
        return _newest(office.told(), _filters(request), limit)

    @app.get("/summary")
    async def summary() -> Json:
        """Counts and sums of all providers."""
        return {provider: office.summary(provider) for provider in office.dialects}


def _add_steering(app: FastAPI, office: Office) -> None:
    @app.get("/clock")
    async def clock() -> Json:
        """The sandbox's time."""
        return _time(office.clock.now())

    @app.post("/clock")
    async def move_clock(form: ClockForm) -> Json:
        """Move the clock."""
        if form.at is None:
            return _time(office.clock.advance(form.advance_s))
        try:
            return _time(office.clock.set(from_iso(form.at)))
        except ValueError as error:
            raise HTTPException(422, f"at: {error}") from error

    @app.get("/settings")
    async def settings() -> Json:
        """The settings; a limit of null is unlimited."""
        return asdict(office.settings)

    @app.post("/settings")
    async def change_settings(form: SettingsForm) -> Json:
        """Change settings; they hold for new jobs."""
        _change(office.settings, form)
        return asdict(office.settings)

    @app.post("/reset", status_code=204)
    async def reset() -> None:
        """Forget jobs, charges, files, faults, journal and clock; settings stay."""
        office.reset()


def _add_faults(app: FastAPI, office: Office) -> None:
    @app.get("/faults")
    async def armed_faults() -> list[Json]:
        """The armed faults and how often each has struck."""
        return office.faults.armed()

    @app.post("/faults", status_code=201)
    async def arm_fault(form: FaultForm) -> list[Json]:
        """Arm a fault."""
        params = {name: str(value) for name, value in form.params.items()}
        params |= {"operation": form.operation} if form.operation else {}
        params |= {"times": str(form.times)} if form.times else {}
        office.faults.arm(form.fault, params, provider=form.provider, match=form.match)
        return office.faults.armed()

    @app.delete("/faults", status_code=204)
    async def disarm_faults() -> None:
        """Disarm all faults."""
        office.faults.disarm()


def _time(now: float) -> Json:
    return {"now": now, "iso": iso(now)}


def _filters(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.query_params.items() if name != "limit"}


def _newest(rows: Iterable[Json], wanted: Mapping[str, str], limit: int) -> list[Json]:
    kept = [row for row in rows if all(_as_text(row.get(name)) == value for name, value in wanted.items())]
    return kept[-limit:]


def _as_text(value: Any) -> str:
    """As it looks in JSON, so that `?billed=true` and `?billed=null` work."""
    return {True: "true", False: "false", None: "null"}.get(value, str(value)) if _is_word(value) else str(value)


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _change(settings: Settings, form: SettingsForm) -> None:
    for name in form.model_fields_set - {"webhooks"}:
        value = getattr(form, name)
        setattr(settings, name, None if value == "unlimited" else value)
    if form.webhooks is not None:
        for habit in fields(settings.webhooks):
            if habit.name in form.webhooks.model_fields_set:
                setattr(settings.webhooks, habit.name, getattr(form.webhooks, habit.name))
