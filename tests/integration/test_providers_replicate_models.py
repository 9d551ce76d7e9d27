"""Replicate's open models against the sandbox: each is bought, billed, lost and found again, refused and made room for."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from pydantic import SecretStr

from contracts.wishes import Capability, PictureTraits
from errors import (
    ModelGone,
    OutcomeUnknown,
    PolicyRefused,
    ProviderError,
    ProviderRejectedInput,
)
from providers.base import JobReport, Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from tests.sandbox_server import SandboxServer, start_sandbox

CATALOG = Catalog.load()
MAX_BYTES = 50_000_000
ROUNDING_USD = 0.000002  # both sides round to millionths
SDXL, SCRIBBLE = "stability-ai/sdxl", "jagilley/controlnet-scribble"
ESRGAN, GFPGAN, CODEFORMER = "nightmareai/real-esrgan", "tencentarc/gfpgan", "sczhou/codeformer"
MODELS = [
    entry.model
    for entry in CATALOG.models
    if entry.provider == "replicate" and entry.input.token is None and not entry.is_retired(datetime.now(UTC).date())
]
each_model = pytest.mark.parametrize("model", MODELS)


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("open-models")) as server:
        yield server


@pytest.fixture
async def provider(sandbox: SandboxServer) -> AsyncIterator[ReplicateProvider]:
    await sandbox.disarm()
    await sandbox.reset()
    built = ReplicateProvider(
        base_url=sandbox.replicate_url,
        token=SecretStr("r8_test"),
        catalog=CATALOG,
        reads=ReadQuota(60_000, burst=1000),
    )
    yield built
    await built.close()


def png(width: int = 200, height: int = 100) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "PNG")
    return buffer.getvalue()


def size_of(body: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(body)) as image:
        return image.size


def works_from(body: bytes) -> ReferenceImage:
    async def read() -> bytes:
        return body

    async def url() -> str | None:
        return None

    return ReferenceImage("image/png", len(body), read, url)


def order(model: str, **changes: Any) -> Purchase:
    """A purchase of the first thing that the model can do."""
    entry = CATALOG.entry("replicate", model)
    capability: Capability = entry.capabilities[0]
    plain = Purchase(
        token=f"token-{uuid4().hex}",
        model=model,
        prompt="a fox under northern lights",
        quality="medium",
        size=(1024, 1024) if entry.is_sized else None,
        shape="square",
        references=() if capability == "text_to_image" else (works_from(png()),),
        deadline_s=60,
        capability=capability,
        traits=PictureTraits(scale=2) if capability == "upscale" else PictureTraits(),
    )
    return replace(plain, **changes)


async def ended(provider: ReplicateProvider, purchase: Purchase) -> JobReport:
    return await followed(provider, (await provider.submit(purchase)).job_id)


async def followed(provider: ReplicateProvider, job_id: str) -> JobReport:
    async with asyncio.timeout(120):
        while True:
            report = await provider.poll(job_id)
            if report.is_final:
                return report
            await asyncio.sleep(0.02)


async def bought(provider: ReplicateProvider, purchase: Purchase) -> bytes:
    report = await ended(provider, purchase)
    if report.failure is not None:
        raise report.failure
    return await provider.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)


@each_model
async def test_a_picture_is_bought_once_and_arrives(
    provider: ReplicateProvider, sandbox: SandboxServer, model: str
) -> None:
    body = await bought(provider, order(model))

    assert min(size_of(body)) > 0
    assert [charge["billed"] for charge in await sandbox.charges()] == [True]


@each_model
async def test_the_cost_is_what_is_billed_and_within_what_is_held(
    provider: ReplicateProvider, sandbox: SandboxServer, model: str
) -> None:
    purchase = order(model)
    report = await ended(provider, purchase)

    entry = CATALOG.entry("replicate", model)
    asked: dict[str, Any] = {"quality": "medium", "shape": "square", "size": purchase.size, "references": 1}
    cost_usd = entry.price(**asked) if report.cost_usd is None else report.cost_usd
    (charge,) = await sandbox.charges()
    assert float(cost_usd) == pytest.approx(charge["amount_usd"], abs=ROUNDING_USD)
    assert cost_usd <= entry.max_price(**asked)
    assert (report.cost_usd is not None) == (entry.per_second_usd is not None)


@each_model
async def test_a_lost_answer_is_found_again_among_others_of_its_kind_and_paid_once(
    provider: ReplicateProvider, sandbox: SandboxServer, model: str
) -> None:
    await provider.submit(order(model))
    await sandbox.arm("lost_response", provider="replicate", times=1)
    lost_one, sent_at = order(model), datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await provider.submit(lost_one)
    await provider.submit(order(model))

    lost = await provider.find_lost(lost_one.token, sent_at)

    assert lost.report is not None
    charges = await sandbox.charges()
    assert [charge["job_id"] for charge in charges].index(lost.report.job_id) == 1
    assert (await followed(provider, lost.report.job_id)).state == "succeeded"


@each_model
async def test_a_purchase_that_was_never_accepted_is_proved_to_be_none(
    provider: ReplicateProvider, sandbox: SandboxServer, model: str
) -> None:
    await provider.submit(order(model))
    await sandbox.arm("reset_before_accept", provider="replicate", times=1)
    never, sent_at = order(model), datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await provider.submit(never)

    lost = await provider.find_lost(never.token, sent_at)

    assert (lost.report, lost.conclusive) == (None, True)
    assert len(await sandbox.charges()) == 1


async def test_a_lost_purchase_with_the_callers_own_seed_is_found_by_its_whole_input(
    provider: ReplicateProvider, sandbox: SandboxServer
) -> None:
    traits = PictureTraits(seed=7, guidance=7.5, negative_prompt="fog")
    await provider.submit(order(SDXL, traits=traits, prompt="an owl"))
    await sandbox.arm("lost_response", provider="replicate", times=1)
    lost_one, sent_at = order(SDXL, traits=traits), datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await provider.submit(lost_one)

    lost = await provider.find_lost(lost_one.token, sent_at)

    assert lost.report is not None
    assert [charge["job_id"] for charge in await sandbox.charges()][1] == lost.report.job_id


async def test_a_lost_purchase_that_has_a_twin_with_the_same_seed_is_left_open(
    provider: ReplicateProvider, sandbox: SandboxServer
) -> None:
    traits = PictureTraits(seed=7)
    sent_at = datetime.now(UTC)
    await provider.submit(order(SDXL, traits=traits))
    await sandbox.arm("lost_response", provider="replicate", times=1)
    lost_one = order(SDXL, traits=traits)
    with pytest.raises(OutcomeUnknown):
        await provider.submit(lost_one)

    lost = await provider.find_lost(lost_one.token, sent_at)

    assert (lost.report, lost.conclusive) == (None, False)


async def test_no_job_of_a_model_without_a_token_counts_as_ours_when_all_are_listed(
    provider: ReplicateProvider, sandbox: SandboxServer
) -> None:
    for model in MODELS:
        await provider.submit(order(model))

    listed = [job.token async for job in provider.list_jobs(datetime(2020, 1, 1, tzinfo=UTC))]

    assert listed == [None] * len(MODELS)


async def test_a_sketch_gives_a_picture_of_its_own_shape_and_not_the_lines_that_were_seen_in_it(
    provider: ReplicateProvider,
) -> None:
    report = await ended(provider, order(SCRIBBLE))

    picture, lines = [await provider.fetch_output(file, max_bytes=MAX_BYTES) for file in report.outputs]
    width, height = size_of(picture)
    assert size_of(lines) == (1536, 768)
    assert width == 2 * height


@pytest.mark.parametrize(
    ("model", "traits", "size"),
    [
        (ESRGAN, PictureTraits(scale=2), (400, 200)),
        (ESRGAN, PictureTraits(scale=4), (800, 400)),
        (GFPGAN, PictureTraits(), (400, 200)),
        (CODEFORMER, PictureTraits(), (200, 100)),
    ],
)
async def test_an_enhanced_picture_has_its_inputs_size_or_a_multiple(
    provider: ReplicateProvider, model: str, traits: PictureTraits, size: tuple[int, int]
) -> None:
    assert size_of(await bought(provider, order(model, traits=traits))) == size


async def test_a_picture_that_does_not_fit_the_upscalers_memory_is_refused_and_free(
    provider: ReplicateProvider, sandbox: SandboxServer
) -> None:
    with pytest.raises(ProviderRejectedInput) as caught:
        await bought(provider, order(ESRGAN, references=(works_from(png(1600, 1400)),)))

    assert caught.value.billed == "no"
    assert [charge["billed"] for charge in await sandbox.charges()] == [False]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("out_of_memory", ProviderRejectedInput),
        ("output_policy", PolicyRefused),
        ("input_policy", PolicyRefused),
        ("empty_output", PolicyRefused),
    ],
)
async def test_an_open_model_that_goes_wrong_says_why_in_its_own_words_and_we_in_ours(
    provider: ReplicateProvider, fault: str, expected: type[ProviderError]
) -> None:
    with pytest.raises(ProviderError) as caught:
        await bought(provider, order(SDXL, prompt=f"a fox [[sandbox fault={fault}]]"))

    assert type(caught.value) is expected


async def test_a_refusal_after_the_model_ran_costs_what_it_ran_and_says_that_it_may_be_billed(
    provider: ReplicateProvider, sandbox: SandboxServer
) -> None:
    report = await ended(provider, order(SDXL, prompt="a nude painting"))

    assert isinstance(report.failure, PolicyRefused)
    assert report.failure.billed == "unknown"
    (charge,) = await sandbox.charges()
    assert report.cost_usd is not None
    assert float(report.cost_usd) == pytest.approx(charge["amount_usd"], abs=ROUNDING_USD)


async def test_a_canceled_job_costs_the_seconds_that_it_ran(
    provider: ReplicateProvider, sandbox: SandboxServer
) -> None:
    started = await provider.submit(order(SDXL, prompt="a fox [[sandbox fault=stuck]]"))
    await sandbox.advance(10)

    canceled = await provider.cancel(started.job_id)

    (charge,) = await sandbox.charges()
    assert canceled.cost_usd is not None
    assert float(canceled.cost_usd) == pytest.approx(charge["amount_usd"], abs=ROUNDING_USD)
    assert canceled.cost_usd >= Decimal("0.00975")


async def test_an_input_that_the_model_does_not_take_is_refused_by_the_names_of_its_fields(
    provider: ReplicateProvider, sandbox: SandboxServer
) -> None:
    with pytest.raises(ProviderRejectedInput) as caught:
        await provider.submit(order("black-forest-labs/flux-schnell", traits=PictureTraits(steps=5)))

    assert caught.value.facts["fields"] == "input.num_inference_steps"
    assert await sandbox.charges() == []


async def test_a_probe_is_free_and_knows_the_models_that_can_be_bought(
    provider: ReplicateProvider, sandbox: SandboxServer
) -> None:
    await provider.probe()
    for model in MODELS:
        await provider.probe(model)
    with pytest.raises(ModelGone):
        await provider.probe("nobody/nothing")

    assert await sandbox.charges() == []
    assert {entry["operation"] for entry in await sandbox.journal()} == {"other"}
