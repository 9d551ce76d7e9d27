"""What the routes work with, built once by the composition root."""

from dataclasses import dataclass

from fastapi.requests import HTTPConnection
from standardwebhooks import Webhook
from temporalio.client import Client

from api.acceptance import Desk
from api.authentication import Authenticator
from api.dispatcher import Dispatcher
from api.following import Following
from api.metrics import Metrics
from api.reviewing import Reviewer
from api.store_preparation import StorePreparation
from contracts.webhook_secrets import WebhookSecrets
from db.engine import Database
from prompts.themes import Themes
from public_http.places import PublicPlaces
from storage.base import ObjectStorage


@dataclass(frozen=True, slots=True)
class Services:
    """The finished objects of one API process."""

    database: Database
    storage: ObjectStorage
    store_preparation: StorePreparation
    engine: Client
    themes: Themes
    authenticator: Authenticator
    desk: Desk
    reviewer: Reviewer
    dispatcher: Dispatcher
    following: Following
    metrics: Metrics
    webhook_verifiers: dict[str, Webhook]
    webhook_places: PublicPlaces
    webhook_secrets: WebhookSecrets


async def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that this connection came to.

    Asynchronous, because FastAPI sends others to a thread, at every request.
    """
    services: Services = connection.state.services
    return services
