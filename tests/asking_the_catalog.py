"""Asking the catalog for candidates, as tests of choosing do it."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from contracts.pictures import Candidate
from contracts.requests import PlannedPicture
from contracts.statuses import Step
from contracts.wishes import PictureTraits
from providers.catalog import Catalog
from providers.wish import Wish

TODAY = date(2026, 11, 21)
BOTH = frozenset({"replicate", "openai"})
CATALOG = Catalog.load()
SCENE = PlannedPicture(Step.scene, (1920, 1080), references=1, capability="image_to_image")
OWN_WORDS = PlannedPicture(Step.variant_1, (1024, 1024), references=0)
SEEDED = replace(OWN_WORDS, traits=PictureTraits(seed=7))
WISH = Wish(quality="medium", today=TODAY)

# `plain` is preferred and cheap, and knows little; `able` costs more and knows all.
TWO_MODELS = """
[[providers]]
name = "p"
title = "P"
key_variable = "P_KEY"
recoverable = true
synchronous = false
canceled_billed = "yes"
failed_billed = "no"
creates_per_minute = 1

[[models]]
provider = "p"
model = "plain"
family = "plain"
title = "Plain"
preference = 1
quality_rank = 3
capabilities = ["text_to_image"]
max_references = 0
typical_s = 1
flat_usd = 0.003
checked = 2026-11-21
recipes = [{ shape = "square", request = "1:1", width = 768, height = 768 }]
traits = { steps = [1, 4], formats = ["jpeg"] }
input = { prompt = "prompt", steps = "steps", size = "aspect_ratio" }

[[models]]
provider = "p"
model = "able"
family = "able"
title = "Able"
preference = 2
quality_rank = 6
capabilities = ["text_to_image"]
max_references = 0
typical_s = 5
per_second_usd = 0.001
typical_gpu_s = 10
max_gpu_s = 50
checked = 2026-11-21
size_grid = { multiple = 8, least_pixels = 65_536, most_pixels = 1_048_576, longest_side = 1536, widest_ratio = 3 }
traits = { seed = true, negative_prompt = true, steps = [1, 50] }
input = { prompt = "p", negative_prompt = "n", seed = "seed", steps = "steps", width = "width", height = "height" }
"""


def candidates(
    planned: PlannedPicture = SCENE,
    *,
    catalog: Catalog = CATALOG,
    configured: frozenset[str] = BOTH,
    review_above_usd: Decimal = Decimal("0.50"),
    **wishes: Any,
) -> tuple[Candidate, ...]:
    wish = replace(WISH, **wishes)
    return catalog.candidates(planned, wish, configured=configured, review_above_usd=review_above_usd)


def names(found: tuple[Candidate, ...]) -> list[tuple[str, str]]:
    return [(candidate.provider, candidate.model) for candidate in found]
