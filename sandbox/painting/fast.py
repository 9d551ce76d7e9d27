"""Tiny pictures for load tests: painted once per subject and size, then copied with a note of their own."""

from dataclasses import dataclass
from functools import lru_cache

from sandbox.painting.avatar import paint_avatar
from sandbox.painting.brief import OutputFormat, PaintBrief
from sandbox.painting.encode import Note, encode_pixels, with_note
from sandbox.painting.prompt_words import asks_for_a_place, words_of
from sandbox.painting.scene import at_size, paint_scene
from sandbox.painting.themes import THEMES, choose_theme

_LONGER_SIDE = 96  # pixels of a tiny picture
_PAINTED_LARGER = 3  # tiny pictures are reduced from this many times their size
_AVATARS = 4  # different people in the cache, chosen by the seed


@dataclass(frozen=True)
class _Tiny:
    """An encoded picture without metadata, and the attribution that it needs."""

    data: bytes
    credit: str


def paint_fast(brief: PaintBrief) -> bytes:
    """A tiny picture of the brief's subject; the note inside makes the bytes of each call its own.

    References are not looked at; where there are any, the subject is a place.
    """
    words = words_of(brief.prompt)
    theme, theme_score = choose_theme(words, brief.prompt)
    place = bool(brief.references) or asks_for_a_place(words, theme_score)
    subject = theme.name if place else f"avatar-{sum(brief.seed.encode()) % _AVATARS}"
    size = _tiny_size(brief.width, brief.height)
    tiny = _painted(subject, size, brief.output_format)
    return with_note(tiny.data, brief.output_format, Note(brief.seed, subject, tiny.credit), size)


def _tiny_size(width: int, height: int) -> tuple[int, int]:
    scale = _LONGER_SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


@lru_cache(maxsize=512)
def _painted(subject: str, size: tuple[int, int], output_format: OutputFormat) -> _Tiny:
    large = (size[0] * _PAINTED_LARGER, size[1] * _PAINTED_LARGER)
    theme = next((theme for theme in THEMES if theme.name == subject), None)
    if theme is not None:
        picture, credit = paint_scene(theme, "", subject, large, None), ""
    else:
        portrait = paint_avatar("", subject, *large)
        picture, credit = portrait.picture, portrait.credit
    return _Tiny(encode_pixels(at_size(picture, *size), output_format), credit)
