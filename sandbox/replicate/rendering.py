"""Predictions as JSON. The real API leaves keys out of a fresh 201 that it later gives as explicit nulls; so do we."""

from sandbox.clock import iso
from sandbox.json_text import Json
from sandbox.keys import Keys
from sandbox.replicate.predictions import Phase, Prediction
from sandbox.replicate.run_logs import run_logs

Output = list[str] | str | None


class PredictionRenderer:
    """Renders predictions with the addresses of this sandbox."""

    def __init__(self, api_url: str, public_url: str, keys: Keys) -> None:
        self._api_url = api_url
        self._public_url = public_url
        self._keys = keys

    def full(self, prediction: Prediction, now: float) -> Json:
        """What GET, cancel, list and webhooks give: every key, nulls included."""
        phase = prediction.phase(now)
        expired = prediction.expired(now)
        return {
            "id": prediction.id,
            "model": prediction.model,
            "version": prediction.version,
            "input": {} if expired else prediction.input,
            "logs": "" if expired else run_logs(prediction, now),
            "output": None if expired else self.output(prediction, phase),
            "data_removed": expired,
            "error": phase.error,
            "source": "api",
            "status": phase.status,
            "created_at": iso(prediction.created_at),
            "started_at": iso(phase.started_at) if phase.started_at is not None else None,
            "completed_at": iso(phase.completed_at) if phase.completed_at is not None else None,
            **self._optional(prediction),
            "urls": self._urls(prediction),
            "metrics": _metrics(prediction, phase),
        }

    def created(self, prediction: Prediction) -> Json:
        """The body of a 201 to a create that does not wait: always `starting`, and no word of what is not there yet."""
        return {
            "id": prediction.id,
            "model": prediction.model,
            "version": prediction.version,
            "input": prediction.input,
            "logs": "",
            "data_removed": False,
            "error": None,
            "status": "starting",
            "created_at": iso(prediction.created_at),
            **self._optional(prediction),
            "urls": self._urls(prediction),
        }

    def waited(self, prediction: Prediction, now: float, output: Output) -> Json:
        """The body of a create that waited (Prefer: wait) and saw the end.

        A success says `processing` although its whole output is there, and has no completed_at: recorded from the real API.
        """
        body = self.created(prediction)
        phase = prediction.phase(now)
        body["logs"] = run_logs(prediction, now)
        body["status"] = "processing" if phase.status == "succeeded" else phase.status
        body["error"] = phase.error
        if phase.status == "succeeded":
            body["output"] = output
        return body

    def output(self, prediction: Prediction, phase: Phase) -> Output:
        """The addresses of the pictures of a success; a list, or one string for models that make one."""
        if phase.status != "succeeded":
            return None
        if prediction.fate.empty:
            return None if prediction.plan.single else []
        urls = [self.picture_url(prediction, index) for index in range(prediction.plan.count)]
        return urls[0] if prediction.plan.single else urls

    def picture_url(self, prediction: Prediction, index: int) -> str:
        """Where a picture is delivered; public but unguessable, like the real delivery host."""
        secret = self._keys.address(prediction.id)
        return f"{self._public_url}/delivery/{secret}/{prediction.id}/out-{index}.{prediction.plan.suffix}"

    def _urls(self, prediction: Prediction) -> Json:
        own = f"{self._api_url}/v1/predictions/{prediction.id}"
        return {
            "cancel": f"{own}/cancel",
            "get": own,
            "web": f"{self._public_url}/replicate/p/{prediction.id}",
        }

    @staticmethod
    def _optional(prediction: Prediction) -> Json:
        optional: Json = {}
        if prediction.deadline_at is not None:
            optional["deadline"] = iso(prediction.deadline_at)
        if prediction.deployment is not None:
            optional["deployment"] = prediction.deployment
        return optional


def _metrics(prediction: Prediction, phase: Phase) -> Json:
    if phase.completed_at is None:
        return {}
    metrics: Json = {"total_time": round(phase.completed_at - prediction.created_at, 6)}
    if phase.started_at is not None:
        metrics["predict_time"] = round(phase.completed_at - phase.started_at, 6)
    if phase.status == "succeeded":
        metrics["image_count"] = 0 if prediction.fate.empty else prediction.plan.count
    return metrics
