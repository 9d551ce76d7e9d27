"""What this worker makes pictures with: the database, the store, and those who buy, wait and keep."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from prometheus_client import REGISTRY

from activities.accounts import Accounts
from activities.buying import Buyer
from activities.buying_rules import BuyingRules
from activities.keeping import Keeper, KeepingRules
from activities.observation import PictureMetrics
from activities.pictures import PictureActivities
from activities.waiting import Waiter
from config import Settings
from contracts.names import CHANNEL_CANCEL, CHANNEL_STANDING, CHANNEL_WAKE
from db.engine import Database
from db.listener import Listener
from fault_points import fault_points
from imaging.moderation import OutputCheck
from prompts.library import PromptLibrary
from providers.base import ImageProvider
from providers.catalog import Catalog
from storage.base import ObjectStorage
from worker_parts.providers import make_accounts, waiting_rules
from worker_parts.servers import open_storage
from worker_parts.standing import StandingParts, open_standing


@dataclass(frozen=True, slots=True)
class MakingParts:
    """What the activities are given."""

    database: Database
    storage: ObjectStorage
    listener: Listener
    standing: StandingParts
    keeper: Keeper
    buyer: Buyer
    waiter: Waiter
    accounts: Accounts


async def open_making(
    settings: Settings,
    catalog: Catalog,
    providers: dict[str, ImageProvider],
    stack: AsyncExitStack,
    output_check: OutputCheck | None,
) -> MakingParts:
    """Open database, store and listener, as soon as the store answers; `stack` closes what was opened."""
    reach = fault_points(settings.crash_lab, "worker")
    database = Database(settings.database_url, pool_size=40, application_name="diorama-worker", reach=reach)
    stack.push_async_callback(database.close)
    storage = await open_storage(settings, stack)
    listener = Listener(settings.database_url, (CHANNEL_WAKE, CHANNEL_CANCEL, CHANNEL_STANDING))
    await stack.enter_async_context(listener.listening())
    standing = await open_standing(database, listener, catalog, providers, stack)
    accounts, own = make_accounts(settings, catalog, providers, database)
    stack.push_async_callback(own.close)
    rules = KeepingRules(after_deadline_s=settings.full_store_patience_s)
    keeper = Keeper(database, storage, accounts, rules, output_check)
    return MakingParts(
        database=database,
        storage=storage,
        listener=listener,
        standing=standing,
        keeper=keeper,
        buyer=Buyer(database, accounts, keeper, BuyingRules(), gate=standing.gate, witness=standing.witness),
        waiter=Waiter(database, accounts, waiting_rules(settings), witness=standing.witness, pauses=standing.pauses),
        accounts=accounts,
    )


def make_pictures(settings: Settings, catalog: Catalog, parts: MakingParts) -> PictureActivities:
    """Wire the activity that makes a picture."""
    return PictureActivities(
        database=parts.database,
        listener=parts.listener,
        storage=parts.storage,
        catalog=catalog,
        library=PromptLibrary.load(),
        buyer=parts.buyer,
        waiter=parts.waiter,
        keeper=parts.keeper,
        witness=parts.standing.witness,
        metrics=PictureMetrics(REGISTRY),
        public_url=settings.public_url,
        store_is_public=settings.store_public_url is not None,
    )
