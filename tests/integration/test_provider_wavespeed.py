"""WaveSpeed against the sandbox: its tasks, its bill, its uploads, its webhooks, and what is lost on the way."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from pydantic import SecretStr

from contracts.wishes import PictureTraits
from errors import (
    JobNotFound,
    ModelFailed,
    ModelGone,
    OutcomeUnknown,
    OutputExpired,
    PolicyRefused,
    ProviderBusy,
    ProviderError,
    ProviderInterrupted,
    ProviderRejectedInput,
    ProviderUnavailable,
)
from providers.base import JobReport, Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.read_quota import ReadQuota
from providers.wavespeed import WaveSpeedProvider
from tests.sandbox_server import SandboxServer, start_sandbox
from tests.webhook_receiver import webhook_receiver

CATALOG = Catalog.load()
ROOT = Path(__file__).parents[2]
SPECS = ROOT / "tests/specs"
FLUX, SEEDREAM, ESRGAN = "wavespeed-ai/flux-schnell", "bytedance/seedream-v4", "wavespeed-ai/real-esrgan"
SECRET = "whsec_dGhlIHNhbmRib3ggc2lnbnMgd2l0aCB0aGlz"
MAX_BYTES = 50_000_000


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("wavespeed"), webhook_secret=SECRET) as server:
        yield server


@pytest.fixture(autouse=True)
async def clean(sandbox: SandboxServer) -> None:
    await sandbox.disarm()
    await sandbox.reset()


@pytest.fixture
async def wavespeed(sandbox: SandboxServer) -> AsyncIterator[WaveSpeedProvider]:
    provider = build(sandbox)
    yield provider
    await provider.close()


def build(sandbox: SandboxServer, word_within_s: float = 0.0) -> WaveSpeedProvider:
    return WaveSpeedProvider(
        base_url=sandbox.wavespeed_url,
        key=SecretStr("wsk_test"),
        catalog=CATALOG,
        reads=ReadQuota(60_000, burst=1000),
        submit_timeout_s=20,
        word_within_s=word_within_s,
    )


def order(prompt: str = "a fox under northern lights", **changes: Any) -> Purchase:
    purchase = Purchase(
        token=f"token-{uuid4().hex}",
        model=FLUX,
        prompt=prompt,
        quality="medium",
        size=(1024, 1024),
        shape="square",
        references=(),
        deadline_s=60,
    )
    return replace(purchase, **changes)


def reference(body: bytes, url: str | None = None) -> ReferenceImage:
    async def read() -> bytes:
        return body

    async def link() -> str | None:
        return url

    return ReferenceImage("image/png", len(body), read, link)


async def ended(provider: WaveSpeedProvider, job_id: str) -> JobReport:
    async with asyncio.timeout(120):
        while True:
            report = await provider.poll(job_id)
            if report.is_final:
                return report
            await asyncio.sleep(0.02)


async def bought(provider: WaveSpeedProvider, purchase: Purchase) -> bytes:
    report = await ended(provider, (await provider.submit(purchase)).job_id)
    if report.failure is not None:
        raise report.failure
    return await provider.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)


def picture(body: bytes) -> tuple[str | None, tuple[int, int]]:
    with Image.open(io.BytesIO(body)) as image:
        return image.format, image.size


# --- buying -----------------------------------------------------------------------------------------------------------


async def test_a_picture_of_a_private_store_is_uploaded_and_worked_from(
    wavespeed: WaveSpeedProvider, sandbox: SandboxServer
) -> None:
    first = await bought(wavespeed, order())
    second = order(
        model=SEEDREAM, capability="image_to_image", references=(reference(first), reference(first)), size=(1920, 1080)
    )

    body = await bought(wavespeed, replace(second, shape="wide"))

    assert picture(body)[0] == "JPEG"
    (_, edit) = await sandbox.jobs()
    assert (edit["model"], edit["size"]) == ("bytedance/seedream-v4/edit", "1920x1080")
    assert len([entry for entry in await sandbox.journal(method="PUT") if entry["status"] == 200]) == 2


async def test_an_upscaler_makes_a_picture_larger_by_the_factor(wavespeed: WaveSpeedProvider) -> None:
    small = await bought(wavespeed, order())
    upscaled = order("", model=ESRGAN, capability="upscale", references=(reference(small),), size=None)

    body = await bought(wavespeed, replace(upscaled, traits=PictureTraits(scale=2)))

    assert picture(body)[1] == tuple(2 * side for side in picture(small)[1])


async def test_the_same_seed_gives_the_same_picture(wavespeed: WaveSpeedProvider) -> None:
    traits = PictureTraits(seed=7)

    assert await bought(wavespeed, order(traits=traits)) == await bought(wavespeed, order(traits=traits))
    assert await bought(wavespeed, order()) != await bought(wavespeed, order(traits=traits))


@pytest.mark.parametrize(
    ("fault", "expected", "billed"),
    [
        ("interrupted", ProviderInterrupted, "no"),
        ("infra_error", ProviderInterrupted, "no"),
        ("out_of_memory", ProviderInterrupted, "no"),
        ("abort", ProviderInterrupted, "no"),
        ("model_error", ModelFailed, "no"),
        ("input_policy", PolicyRefused, "no"),
        ("output_policy", PolicyRefused, "yes"),
        ("empty_output", PolicyRefused, "unknown"),
    ],
)
async def test_a_task_that_goes_wrong_says_why_and_who_pays(
    wavespeed: WaveSpeedProvider, sandbox: SandboxServer, fault: str, expected: type[ProviderError], billed: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        await bought(wavespeed, order(f"a fox [[sandbox fault={fault}]]"))

    assert type(caught.value) is expected
    assert caught.value.billed == billed
    assert [charge["billed"] for charge in await sandbox.charges()] == [billed != "no"]


async def test_a_reference_that_cannot_be_fetched_fails_the_task_and_is_refunded(
    wavespeed: WaveSpeedProvider, sandbox: SandboxServer
) -> None:
    nowhere = reference(b"", f"{sandbox.url}/no/such/picture")

    with pytest.raises(ModelFailed) as caught:
        await bought(wavespeed, order(capability="image_variation", references=(nowhere,)))

    assert caught.value.billed == "no"


async def test_a_model_that_there_is_not_is_gone(sandbox: SandboxServer) -> None:
    row = f'[[models]]\nprovider = "wavespeed"\nmodel = "{FLUX}"\noperation = {{ text_to_image = "wavespeed-ai/flux-9" }}\n'
    texts = (ROOT / "providers/catalog_data/wavespeed.toml").read_text("utf-8")
    provider = WaveSpeedProvider(
        base_url=sandbox.wavespeed_url,
        key=SecretStr("wsk_test"),
        catalog=Catalog.parse(texts, row),
        reads=ReadQuota(600),
    )

    with pytest.raises(ModelGone):
        await provider.submit(order())
    await provider.close()


async def test_an_input_that_the_model_does_not_take_is_refused_for_nothing(
    wavespeed: WaveSpeedProvider, sandbox: SandboxServer
) -> None:
    with pytest.raises(ProviderRejectedInput):
        await wavespeed.submit(order(model="wavespeed-ai/flux-dev", traits=PictureTraits(steps=500)))

    assert await sandbox.charges() == []


# --- what cannot be stopped, and what is lost ---------------------------------------------------------------------------


async def test_a_task_cannot_be_stopped_and_is_settled_as_it_ends(
    wavespeed: WaveSpeedProvider, sandbox: SandboxServer
) -> None:
    started = await wavespeed.submit(order("a fox [[sandbox duration=100]]"))

    stopped = await wavespeed.cancel(started.job_id)
    await sandbox.advance(101)

    assert (stopped.state, stopped.is_final) == ("running", False)
    assert (await wavespeed.cancel(started.job_id)).state == "succeeded"


async def test_a_purchase_that_was_never_accepted_is_proved_to_be_none(wavespeed: WaveSpeedProvider) -> None:
    purchase = order("a fox [[sandbox fault=reset_before_accept]]")
    sent_at = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await wavespeed.submit(purchase)

    lost = await wavespeed.find_lost(purchase.token, sent_at)

    assert (lost.report, lost.conclusive) == (None, True)


async def test_a_lost_answer_is_never_taken_for_none_and_no_other_task_for_it(wavespeed: WaveSpeedProvider) -> None:
    purchase = order("a fox [[sandbox fault=lost_response]]")
    sent_at = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await wavespeed.submit(purchase)

    lost = await wavespeed.find_lost(purchase.token, sent_at)

    assert (lost.report, lost.conclusive) == (None, False)


async def test_tasks_of_other_moments_do_not_matter(wavespeed: WaveSpeedProvider, sandbox: SandboxServer) -> None:
    await wavespeed.submit(order())
    await sandbox.advance(600)
    sent_at = datetime.now(UTC) + timedelta(seconds=600)

    assert (await wavespeed.find_lost("token-1", sent_at)).conclusive


async def test_a_lost_task_names_itself_in_its_webhook(sandbox: SandboxServer) -> None:
    provider = build(sandbox, word_within_s=60)
    async with webhook_receiver() as receiver:
        purchase = order("a fox [[sandbox fault=lost_response]]")
        sent_at = datetime.now(UTC)
        with pytest.raises(OutcomeUnknown):
            await provider.submit(replace(purchase, webhook_url=f"{receiver.url}/{purchase.token}"))

        with pytest.raises(ProviderUnavailable):  # until then, it may come
            await provider.find_lost(purchase.token, sent_at)
        received = await receiver.next()

    assert received.path == f"/{purchase.token}"
    report = await ended(provider, json.loads(received.body)["id"])
    assert report.state == "succeeded"
    (charge,) = await sandbox.charges()
    assert charge["job_id"] == report.job_id
    await provider.close()


async def test_every_task_of_the_account_is_listed_the_newest_first(
    wavespeed: WaveSpeedProvider, sandbox: SandboxServer
) -> None:
    started = [await wavespeed.submit(order(prompt)) for prompt in ("a fox", "an owl", "a heron")]

    listed = [job async for job in wavespeed.list_jobs(datetime.now(UTC))]
    await sandbox.advance(3600)
    later = [job async for job in wavespeed.list_jobs(datetime.now(UTC) + timedelta(hours=1))]

    assert [job.report.job_id for job in listed] == [report.job_id for report in reversed(started)]
    assert {job.token for job in listed} == {None}
    assert later == []


# --- looking ----------------------------------------------------------------------------------------------------------


async def test_a_task_of_which_the_provider_has_never_heard_is_denied(wavespeed: WaveSpeedProvider) -> None:
    with pytest.raises(JobNotFound):
        await wavespeed.poll("nobodystask")
    with pytest.raises(JobNotFound):
        await wavespeed.cancel("nobodystask")


@pytest.mark.parametrize("operation", ["get", "list"])
@pytest.mark.parametrize(("fault", "expected"), [("server_error", ProviderUnavailable), ("rate_limited", ProviderBusy)])
async def test_a_look_that_fails_buys_nothing_and_can_be_repeated(
    sandbox: SandboxServer, operation: str, fault: str, expected: type[ProviderError]
) -> None:
    provider = build(sandbox)
    started = await provider.submit(order("a fox [[sandbox fault=stuck]]"))
    looks: dict[str, Callable[[], Any]] = {
        "get": lambda: provider.poll(started.job_id),
        "list": lambda: provider.find_lost("nobody", datetime.now(UTC)),
    }
    await sandbox.arm(fault, operation=operation, provider="wavespeed", params={"retry_after": 1})

    with pytest.raises(expected):
        await looks[operation]()
    await sandbox.disarm()
    await looks[operation]()

    assert len(await sandbox.charges()) == 1
    await provider.close()


async def test_a_picture_without_a_bill_is_a_picture(wavespeed: WaveSpeedProvider, sandbox: SandboxServer) -> None:
    await sandbox.arm("server_error", operation="other", provider="wavespeed")

    report = await ended(wavespeed, (await wavespeed.submit(order())).job_id)

    assert (report.state, report.cost_usd) == ("succeeded", None)


async def test_a_download_that_is_cut_can_be_repeated(wavespeed: WaveSpeedProvider, sandbox: SandboxServer) -> None:
    report = await ended(wavespeed, (await wavespeed.submit(order())).job_id)
    await sandbox.arm("cut_download", provider="wavespeed", params={"after_bytes": 500})

    with pytest.raises(ProviderUnavailable):
        await wavespeed.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)
    await sandbox.disarm()

    assert picture(await wavespeed.fetch_output(report.outputs[0], max_bytes=MAX_BYTES))[0] == "PNG"


async def test_after_a_week_a_task_and_its_picture_are_gone(
    wavespeed: WaveSpeedProvider, sandbox: SandboxServer
) -> None:
    report = await ended(wavespeed, (await wavespeed.submit(order())).job_id)
    await sandbox.advance(8 * 24 * 3600)

    with pytest.raises(JobNotFound):
        await wavespeed.poll(report.job_id)
    with pytest.raises(OutputExpired):
        await wavespeed.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)


async def test_tasks_and_their_webhooks_outlive_a_crash_of_the_provider(tmp_path: Path) -> None:
    async with start_sandbox(tmp_path, duration=1) as server, webhook_receiver() as receiver:
        provider = build(server)
        upload = (reference(await bought(provider, order())),)
        purchase = order(capability="image_variation", references=upload, webhook_url=f"{receiver.url}/t")
        started = await provider.submit(purchase)
        await server.kill()
        with pytest.raises(ProviderError) as caught:
            await provider.poll(started.job_id)
        await server.start()

        assert caught.value.retryable
        assert (await ended(provider, started.job_id)).state == "succeeded"
        assert json.loads((await receiver.next()).body)["id"] == started.job_id
        await provider.close()


async def test_a_probe_finds_a_working_account_and_buys_nothing(
    wavespeed: WaveSpeedProvider, sandbox: SandboxServer
) -> None:
    await wavespeed.probe(FLUX)

    assert await sandbox.charges() == []
