"""What a negative prompt asks for: whoever wants no clothes in a picture of somebody wants them without any."""

from typing import Final

from pydantic import Field

from contracts.frozen import Frozen
from prompts.folding import readings
from prompts.term_matching import AnyOf, Terms

_BETWEEN: Final = ", "


class Clothes(Frozen):
    """Words for clothes in one language, and what it means not to want them, in the words of the rules."""

    words: Terms = Field(min_length=1)
    means: str = Field(min_length=1)


class UnwantedWords(Frozen):
    """`phrases` about how clothes look are passed over; with any of `unless`, nakedness is not wanted, either."""

    clothes: tuple[Clothes, ...] = Field(min_length=1)
    phrases: Terms = ()
    unless: Terms = ()


class Unwanted:
    """Reads negative prompts. Pure."""

    def __init__(self, words: UnwantedWords) -> None:
        self._clothes = tuple((AnyOf.of(one.words), one.means) for one in words.clothes)
        self._phrases = AnyOf.of(words.phrases)
        self._unless = AnyOf.of(words.unless)

    def meaning(self, negative_prompt: str) -> str:
        """What it says about the picture, to be judged beside the prompt; empty: nothing."""
        found_in = [self._phrases.passed_over(text) for text in readings(negative_prompt)]
        if any(self._unless.places(reading) for reading in found_in):
            return ""
        meant = (means for words, means in self._clothes if any(words.places(reading) for reading in found_in))
        return _BETWEEN.join(meant)
