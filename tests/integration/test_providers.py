"""Replicate and OpenAI against the sandbox: buying, losing and finding again, stopping, failing, fetching."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from pydantic import SecretStr

from errors import (
    DeadlineExceeded,
    JobCanceled,
    JobNotFound,
    ModelFailed,
    ModelGone,
    OutcomeUnknown,
    OutputExpired,
    PolicyRefused,
    ProviderBusy,
    ProviderCredentials,
    ProviderError,
    ProviderInterrupted,
    ProviderQuota,
    ProviderRejectedInput,
    ProviderUnavailable,
)
from providers.base import FinishedPicture, ImageProvider, JobReport, Purchase, ReferenceImage
from providers.catalog import Catalog
from providers.getimg import GetimgProvider
from providers.openai_checks import OpenAIChecks
from providers.openai_images import OpenAIImagesProvider
from providers.read_quota import ReadQuota
from providers.replicate import ReplicateProvider
from providers.wavespeed import WaveSpeedProvider
from tests.sandbox_server import SandboxServer, start_sandbox

CATALOG = Catalog.load()
PNG = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 50_000_000
MODELS = {
    "replicate": "openai/gpt-image-2.5-flare",
    "openai": "gpt-image-2.5-flare",
    "getimg": "seedream-5-lite",
    "wavespeed": "wavespeed-ai/flux-schnell",
}


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxServer]:
    async with start_sandbox(tmp_path_factory.mktemp("providers")) as server:
        yield server


@pytest.fixture(autouse=True)
async def clean(sandbox: SandboxServer) -> None:
    await sandbox.disarm()
    await sandbox.reset()


@pytest.fixture
async def replicate(sandbox: SandboxServer) -> AsyncIterator[ReplicateProvider]:
    provider = build_replicate(sandbox)
    yield provider
    await provider.close()


@pytest.fixture
async def openai(sandbox: SandboxServer) -> AsyncIterator[OpenAIImagesProvider]:
    provider = OpenAIImagesProvider(base_url=sandbox.openai_url, key=SecretStr("sk-test"), catalog=CATALOG)
    yield provider
    await provider.close()


@pytest.fixture
async def getimg(sandbox: SandboxServer) -> AsyncIterator[GetimgProvider]:
    provider = GetimgProvider(base_url=sandbox.getimg_url, key=SecretStr("sk_test"), catalog=CATALOG)
    yield provider
    await provider.close()


@pytest.fixture
async def wavespeed(sandbox: SandboxServer) -> AsyncIterator[WaveSpeedProvider]:
    provider = build_wavespeed(sandbox)
    yield provider
    await provider.close()


@pytest.fixture(params=["replicate", "openai", "getimg", "wavespeed"])
def provider(request: pytest.FixtureRequest) -> ImageProvider:
    """Each provider in turn: what is asked of this fixture is asked of all."""
    built: ImageProvider = request.getfixturevalue(request.param)
    return built


def build_replicate(sandbox: SandboxServer, submit_timeout_s: float = 20.0) -> ReplicateProvider:
    return ReplicateProvider(
        base_url=sandbox.replicate_url,
        token=SecretStr("r8_test"),
        catalog=CATALOG,
        reads=ReadQuota(60_000, burst=1000),
        submit_timeout_s=submit_timeout_s,
    )


def build_wavespeed(sandbox: SandboxServer) -> WaveSpeedProvider:
    return WaveSpeedProvider(
        base_url=sandbox.wavespeed_url,
        key=SecretStr("wsk_test"),
        catalog=CATALOG,
        reads=ReadQuota(60_000, burst=1000),
        submit_timeout_s=20.0,
    )


def order(
    provider: ImageProvider,
    prompt: str = "a fox under northern lights",
    shape: Literal["square", "wide"] = "square",
    references: tuple[ReferenceImage, ...] = (),
    deadline_s: int = 60,
) -> Purchase:
    return Purchase(
        token=f"token-{uuid4().hex}",
        model=MODELS[provider.name],
        prompt=prompt,
        quality="medium",
        size=(1024, 1024) if shape == "square" else (1920, 1080),
        shape=shape,
        references=references,
        deadline_s=deadline_s,
    )


def reference(body: bytes, url: str | None = None) -> ReferenceImage:
    async def read() -> bytes:
        return body

    async def link() -> str | None:
        return url

    return ReferenceImage("image/png", len(body), read, link)


async def ended(provider: ImageProvider, job_id: str) -> JobReport:
    async with asyncio.timeout(120):
        while True:
            report = await provider.poll(job_id)
            if report.is_final:
                return report
            await asyncio.sleep(0.02)


async def bought(provider: ImageProvider, purchase: Purchase) -> bytes:
    """The bytes of a picture, whichever way the provider gives it."""
    answer = await provider.submit(purchase)
    if isinstance(answer, FinishedPicture):
        return answer.body
    report = await ended(provider, answer.job_id)
    if report.failure is not None:
        raise report.failure
    return await provider.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)


def who_pays(report: JobReport) -> str | None:
    return report.failure.billed if report.failure else None


async def failure_of(provider: ImageProvider, prompt: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await bought(provider, order(provider, prompt))
    return caught.value


# --- what every provider does ----------------------------------------------------------------------------------------


async def test_a_picture_is_bought_once_and_arrives_whole(provider: ImageProvider, sandbox: SandboxServer) -> None:
    purchase = order(provider)

    body = await bought(provider, purchase)

    assert body.startswith(PNG)
    assert len(await sandbox.charges(provider=provider.name)) == 1


async def test_a_wide_picture_is_made_in_the_pixels_of_the_catalogs_recipe(
    provider: ImageProvider, sandbox: SandboxServer
) -> None:
    await bought(provider, order(provider, shape="wide"))

    (job,) = await sandbox.jobs()
    recipe = CATALOG.recipe(CATALOG.entry(provider.name, MODELS[provider.name]), (1920, 1080))
    assert job["size"] == "{}x{}".format(*recipe.gives)


async def test_a_picture_is_made_from_references(provider: ImageProvider, sandbox: SandboxServer) -> None:
    avatar = await bought(provider, order(provider))

    scene = await bought(provider, order(provider, shape="wide", references=(reference(avatar),)))

    assert scene.startswith(PNG)
    assert len(await sandbox.charges()) == 2


async def test_the_cost_is_what_the_provider_bills_and_within_what_is_held(
    provider: ImageProvider, sandbox: SandboxServer
) -> None:
    answer = await provider.submit(order(provider, shape="wide"))
    if isinstance(answer, JobReport):
        answer = await ended(provider, answer.job_id)

    entry = CATALOG.entry(provider.name, MODELS[provider.name])
    most = entry.max_price(quality="medium", shape="wide", size=(1920, 1080), references=0)
    (charge,) = await sandbox.charges()
    assert answer.cost_usd is not None
    assert float(answer.cost_usd) == pytest.approx(charge["amount_usd"], abs=0.0001)
    assert answer.cost_usd <= most


@pytest.mark.parametrize(
    ("fault", "expected", "charges"),
    [
        ("lost_response", OutcomeUnknown, 1),
        ("reset_before_accept", OutcomeUnknown, 0),
        ("server_error status=500", OutcomeUnknown, 0),
        ("server_error status=502", OutcomeUnknown, 0),
        ("server_error status=503", OutcomeUnknown, 0),
        ("rate_limited retry_after=7", ProviderBusy, 0),
        ("insufficient_credit", ProviderQuota, 0),
        ("unauthenticated", ProviderCredentials, 0),
        ("model_gone", ModelGone, 0),
        ("input_refused", ProviderRejectedInput, 0),
    ],
)
async def test_a_create_that_goes_wrong_is_classified_and_never_repeated(
    provider: ImageProvider, sandbox: SandboxServer, fault: str, expected: type[ProviderError], charges: int
) -> None:
    failure = await failure_of(provider, f"a fox [[sandbox fault={fault}]]")

    assert type(failure) is expected
    assert len(await sandbox.charges()) == charges
    assert len(await sandbox.journal(operation="create")) == 1


async def test_a_rate_limit_says_how_long_to_wait(provider: ImageProvider) -> None:
    failure = await failure_of(provider, "a fox [[sandbox fault=rate_limited retry_after=7]]")

    assert isinstance(failure, ProviderBusy)
    assert 6 <= failure.retry_after_s <= 8


async def test_an_answer_slower_than_the_deadline_ends_the_purchase_and_leaves_open_who_pays(
    openai: OpenAIImagesProvider, sandbox: SandboxServer
) -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        await openai.submit(order(openai, "a fox [[sandbox duration=20]]", deadline_s=5))

    assert caught.value.billed == "unknown"
    assert len(await sandbox.journal(operation="create")) <= 1


@pytest.mark.parametrize("fault", ["input_policy", "output_policy"])
async def test_a_policy_refusal_is_one(provider: ImageProvider, sandbox: SandboxServer, fault: str) -> None:
    failure = await failure_of(provider, f"a fox [[sandbox fault={fault}]]")

    assert type(failure) is PolicyRefused
    billed = [charge["billed"] for charge in await sandbox.charges()]
    if True in billed:
        assert failure.billed in {"yes", "unknown"}


async def test_a_refused_prompt_is_free_and_says_so(provider: ImageProvider, sandbox: SandboxServer) -> None:
    failure = await failure_of(provider, "a nude painting")

    assert type(failure) is PolicyRefused
    assert failure.billed == "no"
    assert not [charge for charge in await sandbox.charges() if charge["billed"]]


async def test_a_wrong_key_is_a_matter_of_credentials(tmp_path: Path) -> None:
    keys = {
        "replicate_token": "r8_right",
        "openai_key": "sk-right",
        "getimg_key": "sk_right",
        "wavespeed_key": "wsk_right",
    }
    async with start_sandbox(tmp_path, **keys) as server:
        wrong: list[ImageProvider] = [
            build_replicate(server),
            OpenAIImagesProvider(base_url=server.openai_url, key=SecretStr("sk-wrong"), catalog=CATALOG),
            GetimgProvider(base_url=server.getimg_url, key=SecretStr("sk_wrong"), catalog=CATALOG),
            build_wavespeed(server),
        ]
        for provider in wrong:
            with pytest.raises(ProviderCredentials):
                await provider.submit(order(provider))
            await provider.close()


# --- Replicate --------------------------------------------------------------------------------------------------------


async def test_a_lost_answer_is_found_again_and_paid_once(replicate: ReplicateProvider, sandbox: SandboxServer) -> None:
    purchase = order(replicate, "a fox [[sandbox fault=lost_response times=1]]")
    sent_at = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await replicate.submit(purchase)

    lost = await replicate.find_lost(purchase.token, sent_at)

    assert lost.report is not None
    report = await ended(replicate, lost.report.job_id)
    assert (await replicate.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)).startswith(PNG)
    (charge,) = await sandbox.charges()
    assert (charge["job_id"], charge["user_id"]) == (lost.report.job_id, purchase.token)


async def test_a_purchase_that_was_never_accepted_is_proved_to_be_none(replicate: ReplicateProvider) -> None:
    purchase = order(replicate, "a fox [[sandbox fault=reset_before_accept]]")
    sent_at = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await replicate.submit(purchase)

    lost = await replicate.find_lost(purchase.token, sent_at)

    assert (lost.report, lost.conclusive) == (None, True)


async def test_a_lost_purchase_is_found_behind_many_newer_ones(sandbox: SandboxServer) -> None:
    replicate = build_replicate(sandbox, submit_timeout_s=120)  # so many at once take long on a busy machine
    first = order(replicate)
    sent_at = datetime.now(UTC)
    started = await replicate.submit(first)
    await asyncio.gather(*(replicate.submit(order(replicate)) for _ in range(120)))

    lost = await replicate.find_lost(first.token, sent_at)
    await replicate.close()

    assert lost.report is not None
    assert lost.report.job_id == started.job_id
    assert len(await sandbox.journal(operation="list")) == 2


async def test_all_jobs_of_the_account_are_listed_with_our_tokens_the_newest_first(
    replicate: ReplicateProvider, openai: OpenAIImagesProvider
) -> None:
    begun = datetime(2020, 1, 1, tzinfo=UTC)
    purchases = [order(replicate, prompt) for prompt in ("a fox", "an owl", "a heron [[sandbox fault=stuck]]")]
    started = [await replicate.submit(purchase) for purchase in purchases]
    await replicate.cancel(started[-1].job_id)

    listed = [job async for job in replicate.list_jobs(begun)]

    assert [job.token for job in listed] == [purchase.token for purchase in reversed(purchases)]
    assert [job.report.job_id for job in listed] == [report.job_id for report in reversed(started)]
    assert listed[0].report.state == "canceled"
    assert sorted(job.created_at for job in listed) == [job.created_at for job in reversed(listed)]
    assert [job async for job in openai.list_jobs(begun)] == []


async def test_a_list_of_jobs_goes_back_to_the_moment_that_is_asked_for(
    replicate: ReplicateProvider, sandbox: SandboxServer
) -> None:
    await replicate.submit(order(replicate))
    await sandbox.advance(3600)
    newer = order(replicate)
    await replicate.submit(newer)

    newest, older = [job async for job in replicate.list_jobs(datetime(2020, 1, 1, tzinfo=UTC))]
    listed = [job async for job in replicate.list_jobs(newest.created_at)]

    assert newest.created_at - older.created_at >= timedelta(hours=1)
    assert [job.token for job in listed] == [newer.token]


async def test_a_job_of_which_the_provider_has_never_heard_is_denied(replicate: ReplicateProvider) -> None:
    with pytest.raises(JobNotFound):
        await replicate.poll("nobodysprediction0000000000")
    with pytest.raises(JobNotFound):
        await replicate.cancel("nobodysprediction0000000000")


async def test_a_running_job_can_be_canceled_and_is_billed(
    replicate: ReplicateProvider, sandbox: SandboxServer
) -> None:
    started = await replicate.submit(order(replicate, "a fox [[sandbox fault=stuck]]"))

    canceled = await replicate.cancel(started.job_id)
    again = await replicate.cancel(started.job_id)

    assert canceled.state == again.state == "canceled"
    assert type(canceled.failure) is JobCanceled
    assert who_pays(canceled) == "yes"
    assert [charge["billed"] for charge in await sandbox.charges()] == [True]


async def test_canceling_a_finished_job_changes_nothing(replicate: ReplicateProvider) -> None:
    started = await replicate.submit(order(replicate))
    await ended(replicate, started.job_id)

    assert (await replicate.cancel(started.job_id)).state == "succeeded"


async def test_a_job_past_its_deadline_ends_by_itself_and_is_billed(
    replicate: ReplicateProvider, sandbox: SandboxServer
) -> None:
    started = await replicate.submit(order(replicate, "a fox [[sandbox fault=stuck]]", deadline_s=30))
    await sandbox.advance(31)

    report = await replicate.poll(started.job_id)

    assert report.state == "canceled"
    assert type(report.failure) is DeadlineExceeded
    assert who_pays(report) == "yes"


async def test_a_job_that_never_started_before_its_deadline_is_free(
    replicate: ReplicateProvider, sandbox: SandboxServer
) -> None:
    started = await replicate.submit(order(replicate, "a fox [[sandbox queue=100]]", deadline_s=30))
    await sandbox.advance(31)

    report = await replicate.poll(started.job_id)

    assert (report.state, who_pays(report)) == ("canceled", "no")
    assert [charge["billed"] for charge in await sandbox.charges()] == [False]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("interrupted", ProviderInterrupted),
        ("infra_error", ProviderInterrupted),
        ("out_of_memory", ProviderRejectedInput),
        ("model_error", ModelFailed),
        ("empty_output", PolicyRefused),
        ("abort", JobCanceled),
    ],
)
async def test_a_job_that_goes_wrong_says_why(
    replicate: ReplicateProvider, fault: str, expected: type[ProviderError]
) -> None:
    assert type(await failure_of(replicate, f"a fox [[sandbox fault={fault}]]")) is expected


async def test_progress_grows_while_a_job_runs(replicate: ReplicateProvider, sandbox: SandboxServer) -> None:
    started = await replicate.submit(order(replicate, "a fox [[sandbox duration=100]]"))
    await sandbox.advance(50)

    report = await replicate.poll(started.job_id)

    assert report.state == "running"
    assert report.progress is not None
    assert 0.3 <= report.progress <= 0.7


@pytest.mark.parametrize("operation", ["get", "cancel", "list"])
async def test_a_look_that_fails_buys_nothing_and_can_be_repeated(
    replicate: ReplicateProvider, sandbox: SandboxServer, operation: str
) -> None:
    started = await replicate.submit(order(replicate, "a fox [[sandbox fault=stuck]]"))
    looks: dict[str, Callable[[], object]] = {
        "get": lambda: replicate.poll(started.job_id),
        "cancel": lambda: replicate.cancel(started.job_id),
        "list": lambda: replicate.find_lost("nobody", datetime.now(UTC)),
    }
    look = looks[operation]
    await sandbox.arm("server_error", operation=operation, provider="replicate")

    with pytest.raises(ProviderUnavailable):
        await look()  # type: ignore[misc] # each is a coroutine
    await sandbox.disarm()
    await look()  # type: ignore[misc] # each is a coroutine

    assert len(await sandbox.charges()) == 1


async def test_a_download_that_is_cut_can_be_repeated(replicate: ReplicateProvider, sandbox: SandboxServer) -> None:
    started = await replicate.submit(order(replicate))
    report = await ended(replicate, started.job_id)
    await sandbox.arm("cut_download", provider="replicate", params={"after_bytes": 500})

    with pytest.raises(ProviderUnavailable):
        await replicate.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)
    await sandbox.disarm()

    assert (await replicate.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)).startswith(PNG)


async def test_a_file_that_the_delivery_has_not_yet_is_waited_for(
    replicate: ReplicateProvider, sandbox: SandboxServer
) -> None:
    started = await replicate.submit(order(replicate))
    report = await ended(replicate, started.job_id)
    await sandbox.arm("delivery_404", provider="replicate", times=2)

    assert (await replicate.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)).startswith(PNG)


async def test_after_an_hour_a_picture_has_expired_in_the_report_and_at_its_address(
    replicate: ReplicateProvider, sandbox: SandboxServer
) -> None:
    started = await replicate.submit(order(replicate))
    report = await ended(replicate, started.job_id)
    await sandbox.advance(3700)

    later = await replicate.poll(started.job_id)

    assert type(later.failure) is OutputExpired
    with pytest.raises(OutputExpired):
        await replicate.fetch_output(report.outputs[0], max_bytes=MAX_BYTES)


@pytest.mark.parametrize("way", ["url", "data", "file"])
async def test_a_reference_goes_by_url_by_data_or_as_a_file(
    replicate: ReplicateProvider, sandbox: SandboxServer, way: str
) -> None:
    started = await replicate.submit(order(replicate))
    made = await ended(replicate, started.job_id)
    body = await replicate.fetch_output(made.outputs[0], max_bytes=MAX_BYTES)
    # PNG readers stop at the end mark: what follows only makes the file larger than a data URI may be.
    picture = {
        "url": reference(body, made.outputs[0].url),
        "data": reference(body),
        "file": reference(body + bytes(300_000)),
    }[way]

    scene = await replicate.submit(order(replicate, shape="wide", references=(picture,)))

    assert (await ended(replicate, scene.job_id)).state == "succeeded"
    uploads = [
        entry for entry in await sandbox.journal() if entry["method"] == "POST" and entry["path"].endswith("/files")
    ]
    assert len(uploads) == (1 if way == "file" else 0)


async def test_jobs_outlive_a_crash_of_the_provider(tmp_path: Path) -> None:
    async with start_sandbox(tmp_path) as server:
        provider = build_replicate(server)
        started = await provider.submit(order(provider))
        await server.kill()
        with pytest.raises(ProviderError) as caught:
            await provider.poll(started.job_id)
        await server.start()

        assert caught.value.retryable
        assert (await ended(provider, started.job_id)).state == "succeeded"
        await provider.close()


# --- OpenAI -----------------------------------------------------------------------------------------------------------


async def test_a_model_that_was_shut_down_is_gone(openai: OpenAIImagesProvider) -> None:
    with pytest.raises(ModelGone):
        await openai.submit(replace(order(openai), model="gpt-image-1"))


async def test_moderation_and_shutdown_dates_are_free(sandbox: SandboxServer) -> None:
    checks = OpenAIChecks(base_url=sandbox.openai_url, key=SecretStr("sk-test"))
    try:
        harmless = await checks.moderate("a fox", [("image/png", PNG)])
        flagged = await checks.moderate("a nude painting")
        ends = await checks.shutdown_date("gpt-image-1.5")
        stays = await checks.shutdown_date("gpt-image-2.5-flare")
    finally:
        await checks.close()

    assert not harmless.flagged
    assert flagged.flagged
    assert "sexual" in flagged.categories
    assert (str(ends), stays) == ("2026-12-01", None)
    assert await sandbox.charges() == []
