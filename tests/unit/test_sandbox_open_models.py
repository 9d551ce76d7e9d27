"""How the sandbox's open models behave: billed by the second, shaped by their input, refusing as their authors wrote."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from sandbox.charges import Charge, ChargeLedger
from sandbox.faults import make_fault
from sandbox.models import load_models
from sandbox.replicate.fates import NSFW, OUT_OF_MEMORY, fate_of
from sandbox.replicate.input_pictures import InputTooLarge, check_size, followed_size, sketch_lines
from sandbox.replicate.predictions import Fate, PicturePlan, Prediction

PLAN = PicturePlan(768, 768, "png", "png", 2, single=False, drawing="fast", follows="shape", leading=1)
PREDICTION = Prediction(
    id="p",
    model="stability-ai/sdxl",
    version="7762",
    input={"prompt": "a lake"},
    created_at=1000.0,
    queue_s=10.0,
    duration_s=20.0,
    plan=PLAN,
    fate=Fate(),
    amount_usd=0.02,
    usd_per_second=0.001,
    work_done_at=1000.0,
)


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("now", "canceled_at", "usd"),
    [(1005, None, 0.0), (1015, None, 0.005), (1030, None, 0.02), (9999, None, 0.02), (9999, 1012.5, 0.0025)],
)
def test_a_job_costs_the_seconds_that_it_has_run(now: float, canceled_at: float | None, usd: float) -> None:
    assert replace(PREDICTION, canceled_at=canceled_at).amount(now) == usd


def test_a_job_that_is_billed_by_the_picture_costs_the_same_at_any_time() -> None:
    by_picture = replace(PREDICTION, usd_per_second=0.0, amount_usd=0.04)

    assert {by_picture.amount(now) for now in (1000, 1015, 9999)} == {0.04}


def test_the_ledger_sums_what_the_seconds_have_come_to() -> None:
    ledger = ChargeLedger()
    ledger.enter(
        Charge(
            job_id="p",
            provider="replicate",
            model=PREDICTION.model,
            prompt_sha256="",
            user_id=None,
            webhook=None,
            amount_usd=PREDICTION.amount_usd,
            accepted_at=1000.0,
            verdict=PREDICTION,
            metered=PREDICTION.amount,
        )
    )

    assert [row["amount_usd"] for now in (1000, 1020, 1030) for row in ledger.rows(now)] == [0.0, 0.01, 0.02]
    assert ledger.summary("replicate", 1020)["total_usd"] == 0.0
    assert ledger.summary("replicate", 1030)["total_usd"] == 0.02


@pytest.mark.parametrize(
    ("sketch", "size"), [((300, 300), (768, 768)), ((1600, 900), (1344, 768)), ((90, 160), (768, 1344))]
)
def test_a_sketch_model_keeps_the_sketchs_shape_on_its_grid(sketch: tuple[int, int], size: tuple[int, int]) -> None:
    assert followed_size(PLAN, png(*sketch)) == size


def test_a_picture_that_is_changed_keeps_its_size() -> None:
    assert followed_size(replace(PLAN, follows="size"), png(333, 222)) == (333, 222)


def test_the_lines_of_a_sketch_are_white_on_black() -> None:
    with Image.open(io.BytesIO(sketch_lines(png(10, 10), (64, 128), "png"))) as lines:
        assert (lines.size, lines.getpixel((0, 0))) == ((64, 128), (0, 0, 0))


def test_a_picture_beyond_the_models_memory_is_refused_in_its_words() -> None:
    most = load_models().replicate["nightmareai/real-esrgan"].most_input_pixels
    assert most is not None

    check_size(png(1448, 1448), most)
    with pytest.raises(
        InputTooLarge, match=r"dimensions \(1449, 1448, 3\) has a total number of pixels 2098152 greater"
    ):
        check_size(png(1448, 1449), most)


@pytest.mark.parametrize("look", [lambda: check_size(b"no picture", 1), lambda: sketch_lines(b"no", (1, 1), "png")])
def test_what_is_no_picture_is_told_as_such(look: object) -> None:
    assert callable(look)
    with pytest.raises(ValueError, match="cannot identify image file"):
        look()


def test_community_models_run_before_they_refuse_and_speak_python() -> None:
    refused = fate_of([], "sexual", is_community=True)
    out_of_memory = fate_of([make_fault("out_of_memory", {})], None, is_community=True)

    assert (refused.outcome, refused.error, refused.billed) == ("failed", NSFW, True)
    assert (out_of_memory.error, out_of_memory.billed) == (OUT_OF_MEMORY, False)
    assert fate_of([make_fault("stuck", {})], None, is_community=True) == fate_of([make_fault("stuck", {})], None)


def test_the_models_that_the_catalog_sells_are_served() -> None:
    served = load_models().replicate

    assert {"black-forest-labs/flux-dev", "sczhou/codeformer"} <= served.keys()
    assert served["sczhou/codeformer"].single_output
