"""What somebody can do about a generation that failed: send it again, in other words, or to somebody else."""

from typing import Any, Final

from api.alternatives import Alternative, alternatives
from api.prompt_places import parse_request, prompt_place
from api.quotes import Quoter
from api.suggesting import Suggester
from contracts.frozen import Frozen
from contracts.pictures import Failure
from contracts.statuses import Status
from db import spend_lookup
from db.engine import Database
from db.models import Generation
from errors import OutcomeUnknown, PolicyRefused, ProviderCredentials, ProviderError, ProviderQuota, error_class
from prompts.rewriting import UNSPECIFIED

FAILED: Final = (Status.failed, Status.canceled)
OF_AN_ACCOUNT: Final = (ProviderCredentials, ProviderQuota)


class FailureHelp(Frozen):
    """Worked out when it is read: prompts are their owner's business, and stand nowhere else."""

    suggested_prompt: str | None = None
    suggested_field: str | None = None
    alternatives: tuple[Alternative, ...] = ()


class FailureAdvisor:
    """Works out help for one generation at a time."""

    def __init__(self, *, database: Database, quoter: Quoter, suggester: Suggester) -> None:
        self._database = database
        self._quoter = quoter
        self._suggester = suggester

    async def help(self, row: Generation) -> FailureHelp | None:
        """For a generation that failed or was canceled; None for all others. Raises DatabaseUnavailable.

        May ask a language model, for five seconds at most.
        """
        if row.status not in FAILED or row.error is None:
            return None
        failure = Failure.model_validate(row.error)
        known = error_class(failure.code)
        words: dict[str, Any] = {}
        if issubclass(known, PolicyRefused):
            words = await self._words(row, failure)
        others: tuple[Alternative, ...] = ()
        if issubclass(known, ProviderError) and not issubclass(known, OutcomeUnknown):
            others = await self._others(row)
        return FailureHelp(**words, alternatives=others)

    async def _words(self, row: Generation, failure: Failure) -> dict[str, Any]:
        place = prompt_place(parse_request(row.request), failure.step)
        if place is None:
            return {}
        categories = str(failure.facts.get("category") or UNSPECIFIED).split(", ")
        suggested = await self._suggester.suggested(place.text, categories, longest=place.longest)
        return {"suggested_prompt": suggested, "suggested_field": place.pointer} if suggested else {}

    async def _others(self, row: Generation) -> tuple[Alternative, ...]:
        async with self._database.transaction() as session:
            tried = await spend_lookup.tried(session, row.id)
        # An account that is refused or empty is so for each of the provider's models.
        closed = {one.provider for one in tried if issubclass(error_class(one.error_code or ""), OF_AN_ACCOUNT)}
        but = {(one.provider, one.model) for one in tried}
        return alternatives(parse_request(row.request), self._quoter, but=but, not_at=closed)
