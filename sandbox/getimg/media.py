"""The pictures of version 2: public but unguessable addresses, gone a day after the purchase."""

from dataclasses import dataclass

from sandbox.answers import Answer
from sandbox.clock import SandboxClock
from sandbox.delivery import DeliveryDialect
from sandbox.downloads import picture_answer
from sandbox.faults import read_directions
from sandbox.getimg.job_book import Job, JobBook
from sandbox.keys import Keys
from sandbox.pictures import Studio
from sandbox.wire import Call, Refusal


class MediaDialect(DeliveryDialect):
    """The host of the pictures: no credentials, no rate limits."""

    provider = "getimg"


@dataclass(frozen=True, slots=True)
class MediaRoutes:
    """The handlers."""

    clock: SandboxClock
    keys: Keys
    jobs: JobBook
    studio: Studio

    async def read(self, call: Call) -> str:
        """Find the job whose picture is asked for; its prompt."""
        job = self.jobs.get(call.path["file"].partition(".")[0])
        if job is None or call.path["secret"] != self.keys.address(job.id):
            raise Refusal(_missing())
        call.fields, call.job_id, call.directions = job, job.id, read_directions(job.prompt)
        return job.prompt

    async def picture(self, call: Call) -> Answer:
        """GET /getimg/media/{secret}/{id}.{suffix}."""
        job: Job = call.fields
        kept = self.studio.kept(job.id)
        if kept is None or call.now >= job.deletes_at() or call.fault("delivery_404"):
            return _missing()
        return picture_answer(call, self.clock, kept, f"image/{job.output_format}")


def _missing() -> Answer:
    return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
