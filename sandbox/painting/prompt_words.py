"""Reading a prompt: which words it has, whether it asks for a person or a place."""

import re
from collections.abc import Mapping

_WORD = re.compile(r"[a-z]+")
# Careful prompts come in labelled paragraphs. These say who is drawn and how; those say what must not be there.
_LABEL = re.compile(r"^([A-Z][A-Za-z ]{2,24}?)(?: \([^)]*\))?:\s", re.MULTILINE)
_WHO_AND_HOW = frozenset({"character", "subject", "person", "description", "drawn as", "style"})
_UNWANTED = frozenset({"leave out", "avoid", "negative", "negative prompt", "do not show", "without"})


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


PERSON_WORDS = word_set(
    "person man woman men women boy girl guy lady gentleman child kid teen teenager elder grandmother grandfather portrait avatar "
    "character face headshot bust hero heroine he she him her his hers explorer adventurer scientist pilot doctor nurse knight wizard "
    "witch pirate chef artist musician engineer astronaut captain sailor farmer teacher student detective princess prince queen king "
    "warrior ranger hiker traveller traveler profile selfie hair beard glasses smiling someone human people"
)
PLACE_WORDS = word_set(
    "landscape scene scenery background backdrop panorama vista environment wallpaper view horizon map place location interior "
    "exterior skyline"
)


def words_of(prompt: str) -> list[str]:
    """The words of a prompt in order, lower case, without punctuation."""
    return _WORD.findall(prompt.lower())


def about_the_person(prompt: str) -> str:
    """The paragraphs that say who is drawn and how, or all but the unwanted ones when none is labelled so."""
    paragraphs = prompt.split("\n\n")
    labels = [found.group(1).lower() if (found := _LABEL.match(text)) else "" for text in paragraphs]
    named = [text for text, label in zip(paragraphs, labels, strict=True) if label in _WHO_AND_HOW]
    return "\n".join(named or [text for text, label in zip(paragraphs, labels, strict=True) if label not in _UNWANTED])


def asks_for_a_place(words: list[str], theme_score: int) -> bool:
    """Whether a prompt without references wants a place with nobody in it."""
    place = sum(word in PLACE_WORDS for word in words)
    person = sum(word in PERSON_WORDS for word in words)
    return place > person or (person == 0 and theme_score >= 3)


def score(words: list[str], weights: Mapping[str, int]) -> int:
    """Sum of the weights of the words that occur; each word counts once."""
    return sum(weights.get(word, 0) for word in set(words))


def near(words: list[str], first: frozenset[str], second: str, within: int = 3) -> str | None:
    """The word of `first` that stands at most `within` words before `second`, nearest first."""
    for index, word in enumerate(words):
        if word == second:
            for candidate in reversed(words[max(0, index - within) : index]):
                if candidate in first:
                    return candidate
    return None
