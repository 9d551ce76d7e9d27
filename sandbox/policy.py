"""A word list that stands for the providers' safety systems. Small and strict on purpose: it must never surprise a test."""

import re
from collections.abc import Mapping
from typing import Final

CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_WORDS: Final[Mapping[str, str]] = {
    "harassment": r"harass(ing|ment)?|bully(ing)?",
    "harassment/threatening": r"i will hurt you",
    "hate": r"racial slurs?|hate speech",
    "hate/threatening": r"ethnic cleansing",
    "illicit": r"cocaine|methamphetamine|counterfeit money",
    "illicit/violent": r"(build|make) a bomb|pipe bomb",
    "self-harm": r"self[- ]harm|suicide",
    "self-harm/intent": r"kill myself",
    "self-harm/instructions": r"how to (commit suicide|cut myself)",
    "sexual": r"nude|naked|porn(ographic)?|nsfw|erotic",
    "sexual/minors": r"(nude|naked|erotic) (child|children|minor|teen)s?",
    "violence": r"beating (him|her|them) up|stabbing|gore|gory|dismember(ed|ment)|behead(ed|ing)",
    "violence/graphic": r"gore|gory|dismember(ed|ment)|behead(ed|ing)",
}
_PATTERNS: Final = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in _WORDS.items()}
# What an image model refuses at the door; the others only raise the moderation endpoint's flags.
_REFUSED: Final = ("sexual", "sexual/minors", "self-harm", "violence/graphic", "hate/threatening", "illicit/violent")


def flagged_categories(text: str) -> frozenset[str]:
    """The categories whose words appear in the text."""
    return frozenset(name for name, pattern in _PATTERNS.items() if pattern.search(text))


def refused_category(prompt: str) -> str | None:
    """The category for which an image model refuses the prompt, or None."""
    return next((name for name in _REFUSED if _PATTERNS[name].search(prompt)), None)
