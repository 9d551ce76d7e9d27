"""`picture.make`: one picture as five verbs (claim, submit, wait, fetch, keep), each skipped when the ledger shows it done."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

from temporalio import activity

from activities.buying import Buyer
from activities.cancellation import Wish, stopping_when_canceled
from activities.failure_memory import remembered
from activities.failures import PurchaseEnded, told_to_temporal
from activities.heartbeat import beating
from activities.keeping import Keeper
from activities.observation import PictureMetrics, named
from activities.ordering import PictureSpec, parse_request, picture_spec
from activities.partials import Partials
from activities.patience import until_written
from activities.stopping import handed_over_when_stopping
from activities.waiting import Waiter, failure_of
from activities.wanted_form import WantedForm, enlarged
from activities.witness import Witness
from contracts.names import ACTIVITY_MAKE_PICTURE, CHANNEL_WAKE
from contracts.pictures import AssetRef, PictureMade, PictureOrder
from contracts.requests import PlannedPicture
from contracts.statuses import AssetState, SpendState
from contracts.wishes import PictureTraits
from db import assets, ledger, lives, promises
from db.engine import Database
from db.listener import Listener
from db.models import Asset, Spend
from errors import (
    DioramaError,
    GenerationCanceled,
    JobNotFound,
    OutcomeUnknown,
    ProviderError,
    StorageFull,
    UnknownModel,
)
from prompts.library import PromptLibrary
from providers.base import JobReport, Purchase, ReferenceImage
from providers.catalog import Catalog
from storage.base import ObjectStorage

# A provider fetches the reference when it starts, which may be long after the purchase.
REFERENCE_URL_LIFE = timedelta(hours=6)


class PictureActivities:
    """Makes pictures; holds dependencies only."""

    def __init__(
        self,
        *,
        database: Database,
        listener: Listener,
        storage: ObjectStorage,
        catalog: Catalog,
        library: PromptLibrary,
        buyer: Buyer,
        waiter: Waiter,
        keeper: Keeper,
        witness: Witness,
        metrics: PictureMetrics,
        public_url: str | None,
        store_is_public: bool,
    ) -> None:
        self._database = database
        self._listener = listener
        self._storage = storage
        self._catalog = catalog
        self._library = library
        self._buyer = buyer
        self._waiter = waiter
        self._keeper = keeper
        self._witness = witness
        self._metrics = metrics
        self._public_url = public_url
        self._store_is_public = store_is_public
        self._partials = Partials(database, storage, keeper)

    @activity.defn(name=ACTIVITY_MAKE_PICTURE)
    async def make_picture(self, order: PictureOrder) -> PictureMade:
        """Buy, wait for and keep one picture. Safe to repeat on any worker: the ledger knows how far it came."""
        generation_id = str(order.generation_id)
        words = {"step": order.step, "purchase": order.purchase}
        canceled = stopping_when_canceled(self._database, self._listener, order.generation_id)
        with named(order.generation_id, **words), told_to_temporal(), self._metrics.counted(order):
            async with handed_over_when_stopping(), beating(), canceled as wish:
                # Listening begins before the claim, so that no word from the provider is missed.
                with self._listener.subscribe(CHANNEL_WAKE, generation_id) as woken:
                    return await self._make(order, woken, wish)

    async def _make(self, order: PictureOrder, woken: asyncio.Event, wish: Wish) -> PictureMade:
        spend, spec = await self._claimed(order)
        async with self._partials.shown(spend, spec.planned.traits.partials) as on_partial:
            if spend.state in ledger.ENDED:
                return await self._as_it_ended(order, spend)
            if spend.state is SpendState.unknown:
                raise _unknown(spend)
            async with self._witness.watching(spend, typical_s=self._typical_s(spend)):
                if spend.state is not SpendState.submitted:
                    purchase = replace(self._purchase(order, spend, spec), on_partial=on_partial)
                    spend = await self._buyer.submitted(spend, purchase, wish, alternatives=order.alternatives)
                return await self._collected(order, spend, spec, woken)

    async def _claimed(self, order: PictureOrder) -> tuple[Spend, PictureSpec]:
        async with self._database.transaction("picture.claim") as session:
            generation = await lives.read_live(session, order.generation_id)
            spec = picture_spec(parse_request(generation.request), order.step, self._library)
            if order.possible_duplicate:
                await promises.lock(session, order.generation_id)
                await ledger.replace_earlier(session, order)
            return await ledger.claim(session, order, spec.prompt), spec

    async def _collected(
        self, order: PictureOrder, spend: Spend, spec: PictureSpec, woken: asyncio.Event
    ) -> PictureMade:
        report = None
        try:
            if spend.raw_asset_id is None:
                report = await self._waiter.finished(spend, woken, order.overall)
                if report.state != "succeeded":
                    raise failure_of(report)
            self._witness.delivered(spend)
            form = self._form(order, spend, spec)
            made = await self._keeper.kept(order, spend, report, form)
        except StorageFull as failure:
            if self._keeper.may_wait(
                spend
            ):  # the picture lies at the provider, or raw in the store: the next attempt looks
                raise
            failure.billed = "yes"
            await self._end(spend, failure, report)
        except JobNotFound as denial:
            raise _unknown(await self._denied(spend, denial)) from denial
        except ProviderError as failure:
            if failure.retryable:  # a file that cannot be downloaded now can be in the next attempt
                raise
            await self._end(spend, failure, report)
        self._witness.finished(spend)
        await self._keeper.tidy(spend)
        return made

    async def _denied(self, spend: Spend, denial: JobNotFound) -> Spend:
        facts = {"job_id": spend.provider_job_id}

        async def write() -> Spend:
            async with self._database.transaction("purchase.denied") as session:
                return await ledger.mark_unknown(session, spend, error_code=denial.code, error_facts=facts)

        return await until_written(write)

    async def _end(self, spend: Spend, failure: DioramaError, report: JobReport | None) -> NoReturn:
        await self._buyer.end_without_picture(spend, failure, cost_usd=report.cost_usd if report else None)
        await self._keeper.tidy(spend)
        raise PurchaseEnded(failure) from failure

    async def _as_it_ended(self, order: PictureOrder, spend: Spend) -> PictureMade:
        await self._keeper.tidy(spend)
        if spend.asset_id is None:
            raise PurchaseEnded(remembered(spend))
        async with self._database.transaction() as session:
            asset = await session.get(Asset, spend.asset_id)
        if asset is None or asset.state is not AssetState.stored:
            raise GenerationCanceled
        return PictureMade(
            step=order.step,
            asset=assets.reference(asset),
            provider=spend.provider,
            model=spend.model,
            cost_usd=spend.hold_usd if spend.cost_usd is None else spend.cost_usd,
            adjustments=order.candidate.adjustments,
        )

    def _form(self, order: PictureOrder, spend: Spend, spec: PictureSpec) -> WantedForm:
        """An upscaled picture must come in the size that was paid for; all others are made to fit."""
        planned, expected = spec.planned, None
        if planned.capability == "upscale" and order.works_from:
            scale = self._known_traits(spend, planned).scale
            expected = enlarged(order.works_from[0], scale) if scale else None
        return WantedForm(size=planned.size, output_format=spec.output_format, delivered=expected)

    def _purchase(self, order: PictureOrder, spend: Spend, spec: PictureSpec) -> Purchase:
        # Webhooks are signed with a secret of the account, and that of a tenant's own is not known here.
        can_hear = self._public_url is not None and not spend.own_key
        hook = f"{self._public_url}/v1/webhooks/{spend.provider}/{spend.token}" if can_hear else None
        planned = spec.planned
        return Purchase(
            token=spend.token,
            model=spend.model,
            prompt=spend.prompt,
            quality=spec.quality,
            size=planned.size,
            shape=planned.shape,
            references=tuple(self._reference(picture) for picture in order.works_from),
            deadline_s=order.deadline_s,
            webhook_url=hook,
            capability=planned.capability,
            traits=self._known_traits(spend, planned),
        )

    def _typical_s(self, spend: Spend) -> float | None:
        try:
            return self._catalog.entry(spend.provider, spend.model).typical_s
        except UnknownModel:  # as below
            return None

    def _known_traits(self, spend: Spend, planned: PlannedPicture) -> PictureTraits:
        """What the model knows of the traits; what it does not is told in the candidate's adjustments."""
        try:
            entry = self._catalog.entry(spend.provider, spend.model)
        except UnknownModel:
            # Its row was taken out since the plan: the provider's file says so before anything is sent.
            return planned.traits
        return self._catalog.traits_for(entry, planned.traits, planned.capability)[0]

    def _reference(self, ref: AssetRef) -> ReferenceImage:
        async def read() -> bytes:
            return b"".join([chunk async for chunk in await self._storage.get(ref.key)])

        async def url() -> str | None:
            if not self._store_is_public:
                return None
            return await self._storage.presigned_get(ref.key, expires=REFERENCE_URL_LIFE)

        return ReferenceImage(content_type=ref.content_type, size_bytes=ref.size_bytes, read=read, url=url)


def _unknown(spend: Spend) -> OutcomeUnknown:
    if spend.error_code != JobNotFound.code:
        return OutcomeUnknown()
    return OutcomeUnknown(
        "The provider does not know the job that was taken for this purchase's.", reason=spend.error_code
    )
