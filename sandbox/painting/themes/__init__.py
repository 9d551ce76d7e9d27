"""The places that the painter knows, and which of them a prompt means."""

from sandbox.painting.noise import rng_for
from sandbox.painting.prompt_words import score
from sandbox.painting.stage import Theme
from sandbox.painting.themes.alpine_dusk import AlpineDusk
from sandbox.painting.themes.aurora_night import AuroraNight
from sandbox.painting.themes.autumn_forest import AutumnForest
from sandbox.painting.themes.candle_library import CandleLibrary
from sandbox.painting.themes.coral_reef import CoralReef
from sandbox.painting.themes.desert_dunes import DesertDunes
from sandbox.painting.themes.moon_base import MoonBase
from sandbox.painting.themes.neon_city import NeonCity
from sandbox.painting.themes.spring_meadow import SpringMeadow
from sandbox.painting.themes.volcanic_shore import VolcanicShore

THEMES: tuple[Theme, ...] = (
    AlpineDusk(),
    AuroraNight(),
    SpringMeadow(),
    DesertDunes(),
    CoralReef(),
    NeonCity(),
    AutumnForest(),
    VolcanicShore(),
    MoonBase(),
    CandleLibrary(),
)


def choose_theme(words: list[str], prompt: str) -> tuple[Theme, int]:
    """The theme whose words occur most, and its score; a prompt without any gets one by its hash, with score 0."""
    scores = [score(words, theme.words) for theme in THEMES]
    best = max(scores)
    if best == 0:
        return THEMES[int(rng_for("theme", prompt).integers(len(THEMES)))], 0
    return THEMES[scores.index(best)], best
