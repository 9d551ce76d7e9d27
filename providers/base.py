"""The seam to the providers: what is ordered, what comes back, and the Protocol."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from contracts.wishes import Capability, PictureTraits, Shape
from errors import ProviderError


@dataclass(frozen=True, slots=True)
class ReferenceImage:
    """A picture to start from. `url` gives a URL the provider can reach, or None when our store is private."""

    content_type: str
    size_bytes: int
    read: Callable[[], Awaitable[bytes]]
    url: Callable[[], Awaitable[str | None]]


# An unfinished picture: its number from 0, and its bytes.
PartialPicture = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True)
class Purchase:
    """One picture to buy.

    `token` is ours: it rides in whatever field the provider lets us set, so that a purchase whose answer was lost can be
    found again. `size` is what the client wants in pixels (None: what the model gives); the provider's file asks the model
    for the nearest size of the catalog's recipe. `deadline_s`: seconds from now after which the provider shall stop.
    `first_byte_by`: the reading of this process's monotonic clock (seconds) after which nothing of it may be sent any more.
    `capability` says what is to be done with the words and the references; `traits` holds only what the model knows.
    `on_partial` takes unfinished pictures while the provider works, where `traits.partials` asks for some; it must not wait.
    """

    token: str
    model: str
    prompt: str
    quality: Literal["low", "medium", "high"]
    size: tuple[int, int] | None
    shape: Shape
    references: tuple[ReferenceImage, ...]
    deadline_s: int
    webhook_url: str | None = None
    first_byte_by: float | None = None
    capability: Capability = "text_to_image"
    traits: PictureTraits = field(default_factory=PictureTraits)
    on_partial: PartialPicture | None = None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A finished picture at the provider: an https/http URL or a data URI."""

    url: str


@dataclass(frozen=True, slots=True)
class JobReport:
    """Where a job stands at the provider.

    `progress` is 0..1 where the provider tells it. `failure` is set when `state` is failed or canceled; it is an instance of
    our error tree, ready to raise, and its `billed` says who pays. `cost_usd` is what the provider's own numbers say (None:
    use the catalog's price).
    """

    job_id: str
    state: Literal["waiting", "running", "succeeded", "failed", "canceled"]
    outputs: tuple[RemoteFile, ...] = ()
    progress: float | None = None
    failure: ProviderError | None = None
    cost_usd: Decimal | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """True when the provider will not change it any more."""
        return self.state in {"succeeded", "failed", "canceled"}


@dataclass(frozen=True, slots=True)
class FinishedPicture:
    """A synchronous provider's answer: the bytes themselves, which exist nowhere else."""

    body: bytes
    content_type: str
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class LostJob:
    """The answer to a look-up of a purchase whose answer was lost."""

    report: JobReport | None
    conclusive: bool  # False: this provider cannot say that there is none


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job as the provider lists it. `token` is what rides where we put ours; None: it shows nothing of the kind."""

    token: str | None
    created_at: datetime
    report: JobReport


class ImageProvider(Protocol):
    """A vendor. Every method raises errors of the ProviderError branch and nothing else.

    No method repeats a create: Temporal owns retries, and only the ledger knows whether a purchase may be sent again.
    """

    name: str
    synchronous: bool  # True: submit answers with the picture itself, minutes later, and there is no job to ask for
    submit_timeout_s: float  # the longest a submit can last before it raises OutcomeUnknown

    async def submit(self, purchase: Purchase) -> JobReport | FinishedPicture:
        """Buy, once, within `submit_timeout_s`, reference pictures included.

        ProviderUnreachable: certainly not bought, as nothing of the purchase can have left (a reference picture that could
        not be read is such a case). OutcomeUnknown: perhaps bought. All others: refused, and `billed` says at what cost.
        """

    async def poll(self, job_id: str) -> JobReport:
        """Ask where a job stands; waits for the read quota. ProviderUnavailable/Unreachable/Busy when it cannot say.

        JobNotFound: the provider says that there is none of this id; right after the purchase it may be mistaken.
        """

    async def cancel(self, job_id: str) -> JobReport:
        """Stop a job; a job that has ended stays as it ended."""

    async def find_lost(self, token: str, sent_at: datetime) -> LostJob:
        """Look for a purchase by our token among those made since `sent_at`.

        ProviderUnavailable/Unreachable/Busy when the look-up itself failed: look again. Not conclusive: never will be.
        """

    def list_jobs(self, since: datetime) -> AsyncGenerator[ListedJob]:
        """All jobs of our account since then, newest first; nothing at all from a provider that has no such list.

        ProviderUnavailable/Unreachable/Busy when a page cannot be read.
        """

    async def fetch_output(self, output: RemoteFile, *, max_bytes: int) -> bytes:
        """Download a finished picture. OutputExpired, OutputCorrupt (too many bytes), ProviderUnavailable."""

    async def probe(self, model: str | None = None) -> None:
        """Ask for something that costs nothing, to learn whether the provider (and the model) can be used again.

        Returns when it can. Raises what a purchase would meet: ProviderUnreachable, ProviderUnavailable, ProviderBusy,
        ProviderCredentials, ProviderQuota, ModelGone.
        """

    async def close(self) -> None:
        """Give connections back."""
