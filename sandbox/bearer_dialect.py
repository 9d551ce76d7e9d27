"""What is the same at most providers of the sandbox: a bearer key, and two limits by the minute."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from sandbox.answers import Answer
from sandbox.rates import RateLimit
from sandbox.settings import Settings


class BearerDialect(ABC):
    """Credentials and rate limits; the words are the provider's own. `key` None: any will do."""

    def __init__(self, settings: Settings, key: str | None) -> None:
        self._settings = settings
        self._key = key
        self._creates = RateLimit()
        self._reads = RateLimit()
        self.refused_for_rate = 0

    def authorized(self, headers: Mapping[str, str]) -> bool:
        """Any bearer key unless one was set."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and bool(key) and self._key in (None, key)

    def rate_wait_s(self, operation: str) -> float:
        """The sandbox's limits per minute; low credit slows nobody down here."""
        settings = self._settings
        if operation == "create":
            wait_s = self._creates.take(settings.creates_per_minute)
        else:
            wait_s = self._reads.take(settings.reads_per_minute)
        self.refused_for_rate += wait_s > 0
        return wait_s

    @abstractmethod
    def rate_limited(self, retry_after_s: float) -> Answer:
        """429 of the limit per minute."""

    def low_credit(self, retry_after_s: float) -> Answer:
        """There is no slow lane for low credit: the plain 429."""
        return self.rate_limited(retry_after_s)
