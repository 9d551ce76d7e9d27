"""All objects of an API process, in the order in which they begin; what was begun ends in reverse."""

from contextlib import AsyncExitStack
from datetime import timedelta

from api.acceptance import Desk
from api.alert_teller import AlertTeller
from api.authentication import Authenticator
from api.bill_desk import BillDesk
from api.budget_gauges import BudgetGauges
from api.cost_headers import BudgetRoom
from api.delivery_starter import DeliveryStarter
from api.dispatcher import Dispatcher
from api.failure_help import FailureAdvisor
from api.following import Following
from api.input_pictures import InputPictures
from api.key_desk import KeyDesk
from api.key_use import KeyUse
from api.limits import RequestLimits
from api.moderating import PromptGuard
from api.parts import Parts
from api.provider_figures import ProviderFigures
from api.provider_listing import ProviderListing
from api.queue_depth import QueueDepth
from api.quoting import QuoteDesk
from api.reviewing import Reviewer
from api.safe_fetch import SafeFetcher
from api.services import Services
from api.standing_view import StandingView
from api.store_preparation import StorePreparation
from api.suggesting import Suggester
from api.upload_reading import UploadReader
from api.wrong_keys import WrongKeys
from config import Settings
from contracts.names import CHANNEL_BUDGET, CHANNEL_DELIVERY, CHANNEL_ENDED, CHANNEL_EVENT
from contracts.receipts import Receipts
from contracts.webhook_secrets import WebhookSecrets
from db.engine import Database
from db.listener import Listener
from db.reports import Reports
from fault_points import fault_points
from prompts.policy_rules import PolicyRules
from prompts.rewriting import Rewriter
from providers.catalog import Catalog
from public_http.places import PublicPlaces
from temporal_client import connect


async def assemble(settings: Settings, parts: Parts, stack: AsyncExitStack) -> Services:
    """All objects of this process; `stack` ends them in reverse order."""
    metrics, storage = parts.metrics, parts.storage
    reach = fault_points(settings.crash_lab, "api")
    database = Database(settings.database_url, application_name="diorama-api", patience=parts.patience, reach=reach)
    stack.push_async_callback(database.close)
    reports = Reports(settings.database_url)
    stack.push_async_callback(reports.close)
    stack.push_async_callback(storage.close)
    key_use = KeyUse(database)
    await stack.enter_async_context(key_use.running())
    preparation = StorePreparation(storage)
    await stack.enter_async_context(preparation.running())
    fetcher = SafeFetcher(settings.private_image_hosts)
    stack.push_async_callback(fetcher.close)
    channels = (CHANNEL_EVENT, CHANNEL_ENDED, CHANNEL_DELIVERY, CHANNEL_BUDGET)
    listener = Listener(settings.database_url, channels)
    await stack.enter_async_context(listener.listening())
    engine = await connect(settings.temporal_address, settings.temporal_namespace, converter=parts.converter, lazy=True)
    kept_deleted = timedelta(hours=settings.keep_deleted_hours)
    dispatcher = Dispatcher(engine, database, metrics, keep_deleted=kept_deleted, reach=reach)
    await stack.enter_async_context(dispatcher.running())
    await stack.enter_async_context(DeliveryStarter(database, listener, dispatcher).running())
    await stack.enter_async_context(AlertTeller(database, listener).running())
    input_pictures = InputPictures(database=database, storage=storage, fetcher=fetcher)
    suggester = _suggester(settings, stack)
    if parts.moderator is not None:
        stack.push_async_callback(parts.moderator.close)
    desk = Desk(
        database=database,
        quoter=parts.quoter,
        themes=parts.themes,
        input_pictures=input_pictures,
        queue_depth=QueueDepth(database),
        dispatcher=dispatcher,
        prompt_guard=PromptGuard(PolicyRules.load(), Suggester(Rewriter.load()), parts.moderator),
    )
    view = StandingView(database)
    figures = ProviderFigures(
        database=database, view=view, lanes_here=_lanes(settings, parts.catalog), registry=metrics.registry
    )
    stack.enter_context(figures.shown())
    return Services(
        database=database,
        reports=reports,
        storage=storage,
        store_preparation=preparation,
        engine=engine,
        themes=parts.themes,
        authenticator=Authenticator(database, settings.api_key_pepper.get_secret_value(), key_use, WrongKeys()),
        limits=RequestLimits(database),
        key_desk=KeyDesk(database, settings.api_key_pepper.get_secret_value()),
        desk=desk,
        input_pictures=input_pictures,
        upload_reader=UploadReader(),
        quoter=parts.quoter,
        quote_desk=QuoteDesk(database=database, quoter=parts.quoter, themes=parts.themes),
        failure_help=FailureAdvisor(database=database, quoter=parts.quoter, suggester=suggester),
        reviewer=Reviewer(database=database, dispatcher=dispatcher, with_jobs=_with_jobs(parts.catalog)),
        providers=_listing(settings, parts.catalog, view),
        provider_figures=figures,
        bill_desk=BillDesk(reports, parts.catalog),
        budget_room=BudgetRoom(database),
        budget_gauges=stack.enter_context(BudgetGauges(database=database, registry=metrics.registry).shown()),
        dispatcher=dispatcher,
        following=Following(database=database, listener=listener, metrics=metrics, stopping=parts.stopping),
        metrics=metrics,
        webhook_verifiers=parts.webhook_verifiers,
        webhook_places=PublicPlaces(settings.private_webhook_hosts),
        webhook_secrets=WebhookSecrets(settings.token_secret.get_secret_value()),
        receipts=Receipts(settings.token_secret.get_secret_value()),
        credential_safe=parts.credential_safe,
        configured_providers=settings.providers,
    )


def _with_jobs(catalog: Catalog) -> frozenset[str]:
    """The providers that make pictures in jobs with an id."""
    return frozenset(provider.name for provider in catalog.providers if not provider.synchronous)


def _suggester(settings: Settings, stack: AsyncExitStack) -> Suggester:
    rules = Rewriter.load()
    if settings.rewrite_model is None or settings.openai_api_key is None:
        return Suggester(rules)
    from providers.openai_rewriting import OpenAIRewriter  # noqa: PLC0415 half a second of each start, for those who want it

    model = OpenAIRewriter(key=settings.openai_api_key, model=settings.rewrite_model, base_url=settings.openai_base_url)
    stack.push_async_callback(model.close)
    return Suggester(rules, model)


def _lanes(settings: Settings, catalog: Catalog) -> list[tuple[str, str]]:
    """The providers with a key here, and their models."""
    here = [one for one in catalog.models if one.provider in settings.providers]
    return [*((name, "") for name in sorted(settings.providers)), *((one.provider, one.model) for one in here)]


def _listing(settings: Settings, catalog: Catalog, view: StandingView) -> ProviderListing:
    return ProviderListing(
        catalog=catalog,
        configured=settings.providers,
        limits={
            one.name: settings.creates_per_minute(one.name, otherwise=one.creates_per_minute)
            for one in catalog.providers
        },
        view=view,
    )
