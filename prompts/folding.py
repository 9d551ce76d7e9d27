"""Words as they are meant, however they are spelt: full-width, accented, l33t, s p a c e d, with foreign letters that look alike."""

import re
import unicodedata
from collections.abc import Iterator
from functools import partial
from typing import Final

# Letters of other alphabets that are drawn like Latin ones.
_ALIKE: Final = str.maketrans("авеёікмнорстухѕјԁһαβεικνορτυχ", "abeeikmhopctyxsjdhabeiknoptux")
# A stroke is an i or an l.
_LEET: Final = tuple(str.maketrans("034578@$1!|", f"oeastbas{stroke * 3}") for stroke in "il")
_WORD: Final = re.compile(r"\S+")
_LETTER: Final = re.compile(r"[a-z]")
_SPACED: Final = re.compile(r"(?<!\w)(?:\w[ .*-]{1,3}){2,}\w(?!\w)")
_BETWEEN: Final = re.compile(r"[ .*-]+")
_STRETCHED: Final = re.compile(r"([a-z])\1{2,}")
# Formats and joiners that are not drawn, and marks that stand on other letters.
_UNSEEN: Final = frozenset({"Cf", "Mn", "Me"})


def folded(text: str) -> str:
    """In small letters without accents, of one alphabet, without what cannot be seen. Breaks between words stay."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text))
        text = "".join(character for character in text if unicodedata.category(character) not in _UNSEEN)
    text = text.casefold().replace("_", " ")
    return text if text.isascii() else text.translate(_ALIKE)


def readings(text: str) -> tuple[str, ...]:
    """The ways in which somebody may have meant it, each once: as it stands, unstretched without l33t, with spaced letters joined."""
    plain = folded(text)
    unleeted = dict.fromkeys(_unleeted(plain))
    return tuple(dict.fromkeys((plain, *unleeted, *(_SPACED.sub(_joined, one) for one in unleeted))))


def _unleeted(text: str) -> Iterator[str]:
    for leet in _LEET:
        yield _STRETCHED.sub(r"\1", _WORD.sub(partial(_without_leet, leet=leet), text))


def _without_leet(found: re.Match[str], *, leet: dict[int, int]) -> str:
    """Numbers alone stay numbers, and an exclamation mark at the end is one."""
    word = found[0]
    if not _LETTER.search(word):
        return word
    said = word.rstrip("!")
    return said.translate(leet) + word[len(said) :]


def _joined(found: re.Match[str]) -> str:
    """`a n u d e` may be `anude` or `a nude`."""
    word = _BETWEEN.sub("", found[0])
    return f"{word} {word[1:]}"
