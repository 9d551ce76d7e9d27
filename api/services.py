"""What the routes work with, built once by the composition root."""

from dataclasses import dataclass

from fastapi.requests import HTTPConnection
from temporalio.client import Client

from api.acceptance import Desk
from api.authentication import Authenticator
from api.bill_desk import BillDesk
from api.budget_gauges import BudgetGauges
from api.cost_headers import BudgetRoom
from api.dispatcher import Dispatcher
from api.failure_help import FailureAdvisor
from api.following import Following
from api.input_pictures import InputPictures
from api.key_desk import KeyDesk
from api.limits import RequestLimits
from api.metrics import Metrics
from api.provider_figures import ProviderFigures
from api.provider_listing import ProviderListing
from api.provider_webhooks import WebhookVerifier
from api.quotes import Quoter
from api.quoting import QuoteDesk
from api.reviewing import Reviewer
from api.store_preparation import StorePreparation
from api.upload_reading import UploadReader
from contracts.receipts import Receipts
from contracts.webhook_secrets import WebhookSecrets
from db.credential_safe import CredentialSafe
from db.engine import Database
from db.reports import Reports
from prompts.themes import Themes
from public_http.places import PublicPlaces
from storage.base import ObjectStorage


@dataclass(frozen=True, slots=True)
class Services:
    """The finished objects of one API process."""

    database: Database
    reports: Reports
    storage: ObjectStorage
    store_preparation: StorePreparation
    engine: Client
    themes: Themes
    authenticator: Authenticator
    limits: RequestLimits
    key_desk: KeyDesk
    desk: Desk
    input_pictures: InputPictures
    upload_reader: UploadReader
    quoter: Quoter
    quote_desk: QuoteDesk
    failure_help: FailureAdvisor
    reviewer: Reviewer
    providers: ProviderListing
    provider_figures: ProviderFigures
    bill_desk: BillDesk
    budget_room: BudgetRoom
    budget_gauges: BudgetGauges
    dispatcher: Dispatcher
    following: Following
    metrics: Metrics
    webhook_verifiers: dict[str, WebhookVerifier]
    webhook_places: PublicPlaces
    webhook_secrets: WebhookSecrets
    receipts: Receipts
    credential_safe: CredentialSafe | None
    configured_providers: frozenset[str]


async def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that this connection came to.

    Asynchronous, because FastAPI sends others to a thread, at every request.
    """
    services: Services = connection.state.services
    return services
