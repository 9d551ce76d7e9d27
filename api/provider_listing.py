"""What the pages of providers and models show: the catalog's rows, with how each of them stands now."""

from collections.abc import Callable, Mapping
from datetime import date, datetime

from api.estimates import Lanes, estimate
from api.model_answers import ModelAnswer, ModelState
from api.provider_answers import ProviderAnswer
from api.standing_answers import HealthAnswer, LimitAnswer, QueueAnswer
from api.standing_view import ProvidersNow, StandingView
from db.columns import now
from errors import NotFound, UnknownModel
from providers.catalog import Catalog
from providers.model_entry import ModelEntry, ProviderEntry


class ProviderListing:
    """Shows providers and models. `limits`: the configured purchases a minute of each provider.

    Every asynchronous method raises DatabaseUnavailable.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        configured: frozenset[str],
        limits: Mapping[str, int],
        view: StandingView,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._catalog = catalog
        self._configured = configured
        self._limits = limits
        self._view = view
        self._clock = clock

    async def providers(self) -> tuple[ProviderAnswer, ...]:
        """All providers, in the catalog's order."""
        known = await self._view.now()
        return tuple(self._provider(entry, known) for entry in self._catalog.providers)

    async def provider(self, name: str) -> ProviderAnswer:
        """One provider. Raises NotFound."""
        entry = self._provider_entry(name)
        return self._provider(entry, await self._view.now())

    async def models(self) -> tuple[ModelAnswer, ...]:
        """All models, in order of preference."""
        known = await self._view.now()
        return tuple(self._model(entry, known) for entry in self._catalog.models)

    async def model(self, provider: str, model: str) -> ModelAnswer:
        """One model. Raises NotFound."""
        entry = self._model_entry(provider, model)
        return self._model(entry, await self._view.now())

    def check(self, provider: str, model: str) -> None:
        """Raises NotFound: the catalog has no such provider, or no such model there. An empty `model` is none."""
        if model:
            self._model_entry(provider, model)
        else:
            self._provider_entry(provider)

    def changed(self) -> None:
        """Something was changed by this process: show it at once."""
        self._view.forget()

    def _provider_entry(self, name: str) -> ProviderEntry:
        try:
            return self._catalog.provider(name)
        except UnknownModel:
            raise NotFound("There is no such provider.") from None

    def _model_entry(self, provider: str, model: str) -> ModelEntry:
        try:
            return self._catalog.entry(provider, model)
        except UnknownModel:
            raise NotFound("There is no such model at this provider.") from None

    def _provider(self, entry: ProviderEntry, known: ProvidersNow) -> ProviderAnswer:
        standing = known.standings.of(entry.name)
        return ProviderAnswer.of(
            entry,
            configured=entry.name in self._configured,
            models=tuple(model.model for model in self._catalog.models if model.provider == entry.name),
            health=HealthAnswer.of(standing),
            queue=QueueAnswer.of(known.queues.of_provider(entry.name)),
            limit=LimitAnswer(
                creates_per_minute=standing.creates_per_minute or self._limits[entry.name],
                set_by_operator=standing.creates_per_minute is not None,
            ),
        )

    def _model(self, entry: ModelEntry, known: ProvidersNow) -> ModelAnswer:
        lanes, moment = self._lanes(entry, known), self._clock()
        closed_because = self._never(entry, moment.date()) or lanes.closed_because()
        state = ModelState(
            configured=entry.provider in self._configured,
            retired=entry.is_retired(moment.date()),
            closed_because=closed_because,
            health=HealthAnswer.of(lanes.model),
            queue=QueueAnswer.of(known.queues.of_model(entry.provider, entry.model)),
            limit=LimitAnswer(creates_per_minute=lanes.model_limit, set_by_operator=lanes.model_limit is not None),
            estimate=estimate(lanes, moment=moment, closed_because=closed_because),
        )
        return ModelAnswer.of(entry, self._catalog.provider(entry.provider), state)

    def _lanes(self, entry: ModelEntry, known: ProvidersNow) -> Lanes:
        provider, model = known.standings.both(entry.provider, entry.model)
        return Lanes(
            provider=provider,
            model=model,
            provider_limit=provider.creates_per_minute or self._limits[entry.provider],
            model_limit=model.creates_per_minute,
            provider_held=known.queues.of_provider(entry.provider).held,
            model_held=known.queues.of_model(entry.provider, entry.model).held,
            generations_ahead=known.queues.generations_ahead,
        )

    def _never(self, entry: ModelEntry, today: date) -> str | None:
        if entry.provider not in self._configured:
            return "This installation has no key of the provider."
        if entry.is_retired(today):
            return "Its provider has shut it down."
        return None
