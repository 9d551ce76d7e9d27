"""What sizes are refused, and what pictures cost."""

import pytest

from sandbox.models import load_models
from sandbox.sizes import SizeRefused, fixed_size, free_size, replicate_size


@pytest.mark.parametrize("size", ["1024x1024", "1920x1088", "2560x1440", "3840x2160", "1280x720", "1536x512"])
def test_sizes_within_the_limits_are_accepted(size: str) -> None:
    assert "{}x{}".format(*free_size(size)) == size


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("1920x1080", "divisible by 16"),
        ("4096x1024", "longest edge"),
        ("512x512", "number of pixels"),
        ("3840x3840", "number of pixels"),
        ("3200x640", "aspect ratio"),
        ("large", "Invalid size 'large'"),
    ],
)
def test_sizes_beyond_the_limits_are_refused_with_the_reason(size: str, words: str) -> None:
    with pytest.raises(SizeRefused, match=words):
        free_size(size)


def test_older_models_know_three_sizes() -> None:
    assert fixed_size("1536x1024") == (1536, 1024)
    with pytest.raises(SizeRefused, match="Supported values"):
        fixed_size("1920x1088")


@pytest.mark.parametrize(
    ("sizing", "values", "size"),
    [
        ("gpt", {"aspect_ratio": "3:2"}, (1536, 1024)),
        ("gpt-free", {"aspect_ratio": "16:9"}, (2048, 1152)),
        ("gpt-free", {"aspect_ratio": "1920x1088"}, (1920, 1088)),
        ("flux", {"aspect_ratio": "16:9"}, (1344, 768)),
        ("input", {"width": 768, "height": 512}, (768, 512)),
        ("resolution", {"image_resolution": "768"}, (768, 768)),
        ("gpt", {}, (1024, 1024)),
    ],
)
def test_every_way_to_ask_for_a_size_has_its_pixels(
    sizing: str, values: dict[str, object], size: tuple[int, int]
) -> None:
    assert replicate_size(sizing, values) == size  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "size", "quality", "usd"),
    [
        ("gpt-image-2", (1024, 1024), "low", 0.006),
        ("gpt-image-2", (1920, 1088), "high", 0.158),
        ("gpt-image-2", (1088, 1920), "high", 0.158),
        ("gpt-image-2.5-flare", (1536, 1024), "max", 0.165),
        ("gpt-image-1.5", (1024, 1536), "medium", 0.050),
    ],
)
def test_a_picture_costs_what_the_price_table_says(model: str, size: tuple[int, int], quality: str, usd: float) -> None:
    tariff = load_models().openai[model].tariff
    assert tariff is not None

    tokens = tariff.tokens("", width=size[0], height=size[1], quality=quality, pictures=3, references=0)

    assert tariff.usd(tokens) == pytest.approx(3 * usd, abs=0.0002)


def test_references_and_long_prompts_cost_their_tokens() -> None:
    tariff = load_models().openai["gpt-image-2"].tariff
    assert tariff is not None

    plain = tariff.tokens("x" * 4, width=1024, height=1024, quality="low", pictures=1, references=0)
    edit = tariff.tokens("x" * 4000, width=1024, height=1024, quality="low", pictures=1, references=1)

    assert tariff.usd(edit) - tariff.usd(plain) == pytest.approx(999 * 5e-6 + 1400 * 8e-6)


def test_every_model_of_the_table_has_a_schema_and_a_price() -> None:
    models = load_models().replicate.values()

    assert len(models) > 10
    for model in models:
        assert model.schema["properties"]
        assert model.tariff or model.usd_per_picture or model.usd_per_second
