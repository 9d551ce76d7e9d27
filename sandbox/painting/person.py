"""What a portrait shows: a prompt's words turned into hair, skin, clothes; what it leaves open is drawn by lot."""

from dataclasses import dataclass

import numpy as np

from sandbox.painting.prompt_words import near, word_set

HAIR_COLOURS = {
    "black": "#2a1d22", "brown": "#6b3f2a", "brunette": "#5a3524", "blond": "#d9b25f", "blonde": "#e0ba68", "golden": "#d6a545",
    "red": "#b5502a", "ginger": "#c4622d", "auburn": "#8a3b24", "copper": "#b5602f", "grey": "#a9abb3", "gray": "#a9abb3",
    "silver": "#c3c8d2", "white": "#e6e4e2", "blue": "#3f6fc0", "pink": "#df7fae", "purple": "#7a52b8", "green": "#4f9a6a",
    "teal": "#2f9a96", "dark": "#3a2620", "chestnut": "#7d4527",
}  # fmt: skip
SKIN_TONES = {
    "pale": "#f6d3bb", "fair": "#f3c9ac", "light": "#f1c3a5", "tan": "#d19a75", "tanned": "#d19a75", "olive": "#c99a72",
    "brown": "#a36b4f", "dark": "#74462f", "black": "#5c3829", "ebony": "#54331f",
}  # fmt: skip
CLOTHES_COLOURS = {
    "red": "#b5303a", "crimson": "#9c2436", "orange": "#e07b2c", "yellow": "#e6b325", "mustard": "#cf9a2a", "green": "#2f8350",
    "olive": "#6f7a3a", "teal": "#1f8a8c", "turquoise": "#2aa7a5", "blue": "#2f5fb3", "navy": "#24386e", "purple": "#6a3fa6",
    "violet": "#6f46b0", "pink": "#d9628f", "brown": "#7a4e33", "black": "#2b2b33", "grey": "#6c7280", "gray": "#6c7280",
    "white": "#e9e8e4", "beige": "#d3bd98", "khaki": "#a3956a", "gold": "#cf9f3a",
}  # fmt: skip
GARMENTS = {
    "jacket": "openJacket", "coat": "openJacket", "blazer": "openJacket", "suit": "openJacket", "parka": "openJacket",
    "cardigan": "openJacket", "shirt": "shirt", "blouse": "shirt", "collar": "shirt", "tshirt": "tShirt", "tee": "tShirt",
    "hoodie": "tShirt", "top": "tShirt", "dress": "tShirt", "sweater": "turtleNeck", "turtleneck": "turtleNeck",
    "jumper": "turtleNeck", "scarf": "turtleNeck", "raincoat": "openJacket", "cloak": "openJacket", "cape": "openJacket", "pullover": "turtleNeck", "robe": "turtleNeck", "uniform": "openJacket", "vest": "openJacket",
}  # fmt: skip
HEADWEAR = {
    "explorer": "explorer", "adventurer": "explorer", "archaeologist": "explorer", "ranger": "explorer", "fedora": "explorer",
    "cowboy": "explorer", "hat": "explorer", "beanie": "beanie", "skier": "beanie", "hiker": "beanie", "sailor": "beanie",
    "wizard": "wizard", "witch": "wizard", "sorcerer": "wizard", "mage": "wizard", "crown": "crown", "king": "crown",
    "queen": "crown", "princess": "crown", "prince": "crown", "pilot": "goggles", "aviator": "goggles", "goggles": "goggles",
    "headphones": "headphones", "dj": "headphones", "gamer": "headphones", "musician": "headphones",
}  # fmt: skip
ROLE_COLOURS = {"explorer": "#8a6b3f", "wizard": "#3b3f8f", "crown": "#7d2440", "goggles": "#6b4327"}

_FEMALE = word_set(
    "woman women girl lady she her hers female queen princess mother grandmother witch heroine daughter sister"
)
_MALE = word_set("man men boy guy gentleman he him his male king prince father grandfather wizard son brother bearded")
_OLD = word_set("old elderly elder aged senior grandmother grandfather grandma grandpa wise ancient")
_HAPPY = word_set("smile smiling happy cheerful joyful friendly laughing laugh grin grinning warm kind playful")
_GRIM = word_set("angry grim fierce furious stern rage evil")
_SAD = word_set("sad melancholy crying lonely tired sorrowful")
_SURPRISED = word_set("surprised shocked amazed astonished")
_LENGTHS = frozenset({"long", "short"})
_INK = word_set("ink comic cartoon sketch outline outlined handdrawn doodle lineart manga")
_COVERED = {
    "hijab": "hijab",
    "turban": "turban",
    "afro": "afro",
    "dreads": "dreads1",
    "dreadlocks": "dreads1",
    "cornrows": "cornrows",
}


@dataclass(frozen=True)
class Person:
    """A portrait in words of its own, independent of the drawing style; colours are `#rrggbb`."""

    ink: bool  # drawn with black outlines
    female: bool
    hair: str
    hair_shape: str
    back_hair: str | None
    skin: str
    clothes: str
    garment: str
    beard: str | None
    glasses: str | None
    headwear: str | None
    headwear_colour: str
    mouth: str
    eyes: str
    brows: str
    wrapped: str | None  # head of the ink style that the other one lacks


def read_person(words: list[str], rng: np.random.Generator) -> Person:
    """Draw a person by lot, then let the words decide what they name."""
    known = set(words)
    female = bool(rng.random() < 0.5)
    if known & _FEMALE or known & _MALE:
        female = len(known & _FEMALE) > len(known & _MALE)
    old = bool(known & _OLD)
    headwear = next((HEADWEAR[word] for word in words if word in HEADWEAR), None)
    wrapped = next((_COVERED[word] for word in words if word in _COVERED), None)
    hair_shape, back_hair = _hair(words, female, headwear, rng)
    clothes = _clothes_colour(words, headwear, rng)
    mouth, eyes, brows = _expression(known, rng)
    return Person(
        ink=bool(known & _INK) or wrapped is not None, female=female, hair=_hair_colour(words, old, rng), hair_shape=hair_shape,
        back_hair=back_hair, skin=_skin(words, rng), clothes=clothes, garment=_garment(words, rng),
        beard=_beard(words, old, female, rng), glasses=_glasses(known, rng), headwear=headwear,
        headwear_colour=_headwear_colour(words, headwear), mouth=mouth, eyes=eyes, brows=brows, wrapped=wrapped,
    )  # fmt: skip


def _pick(rng: np.random.Generator, choices: list[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _hair_colour(words: list[str], old: bool, rng: np.random.Generator) -> str:
    chance = _pick(rng, ["black", "brown", "chestnut", "blond", "auburn", "dark", "ginger", "brunette"])
    names = frozenset(HAIR_COLOURS)
    named = next(
        (found for noun in ("hair", "haired", "curls", "braids", "bun") if (found := near(words, names, noun))), None
    )
    direct = next((word for word in words if word in {"blonde", "blond", "brunette", "ginger", "redhead"}), None)
    if named or direct:
        return HAIR_COLOURS.get(named or direct or "", HAIR_COLOURS["ginger"])
    return HAIR_COLOURS["silver" if old else chance]


def _hair(words: list[str], female: bool, headwear: str | None, rng: np.random.Generator) -> tuple[str, str | None]:
    long_back = _pick(rng, ["longStraight", "longWavy", "shoulderHigh", "neckHigh"])
    shape = _pick(rng, ["sideComed", "bun"] if female else ["spiky", "undercut", "sideComed"])
    back = long_back if female else None
    known = set(words)
    length = next((found for noun in ("hair", "haired") if (found := near(words, _LENGTHS, noun))), None)
    if length == "long":
        back = "longWavy" if known & {"wavy", "curly"} or rng.random() < 0.5 else "longStraight"
    elif length == "short" or known & {"buzzcut", "pixie"}:
        back, shape = None, _pick(rng, ["undercut", "sideComed", "spiky"])
    elif known & {"wavy", "curly", "curls"}:
        back = "longWavy" if female else back
    elif known & {"bob", "shoulder"}:
        back = "neckHigh"
    if known & {"bun", "updo", "ponytail"}:
        shape, back = "bun", None
    if known & {"spiky", "punk", "messy", "wild"}:
        shape = "spiky"
    if headwear in {"explorer", "beanie", "wizard"}:
        shape = "sideComed"
    return shape, back


def _skin(words: list[str], rng: np.random.Generator) -> str:
    chance = _pick(rng, ["light", "fair", "tan", "olive", "brown", "dark"])
    named = near(words, frozenset(SKIN_TONES), "skin") or near(words, frozenset(SKIN_TONES), "skinned")
    return SKIN_TONES[named or chance]


def _clothes_colour(words: list[str], headwear: str | None, rng: np.random.Generator) -> str:
    chance = _pick(
        rng, ["teal", "navy", "mustard", "crimson", "green", "violet", "orange", "blue", "pink", "turquoise"]
    )
    named = next((found for noun in GARMENTS if (found := near(words, frozenset(CLOTHES_COLOURS), noun))), None)
    if named is None and headwear in ROLE_COLOURS:
        return ROLE_COLOURS[headwear]
    return CLOTHES_COLOURS[named or chance]


def _garment(words: list[str], rng: np.random.Generator) -> str:
    chance = _pick(rng, ["openJacket", "shirt", "tShirt", "turtleNeck"])
    return next((GARMENTS[word] for word in words if word in GARMENTS), chance)


def _beard(words: list[str], old: bool, female: bool, rng: np.random.Generator) -> str | None:
    lot, chance = rng.random(), _pick(rng, ["fullBeard", "chinMoustache", "chin"])
    known = set(words)
    if known & {"beard", "bearded"}:
        return "longBeard" if "long" in known or known & {"wizard", "wise"} else "fullBeard"
    if known & {"moustache", "mustache"}:
        return "moustacheTwirl"
    if known & {"goatee", "stubble"}:
        return "chinMoustache"
    if female or known & {"boy", "kid", "child", "teen", "shaven", "young"}:
        return None
    if "wizard" in known:
        return "longBeard"
    return chance if lot < (0.6 if old else 0.3) else None


def _headwear_colour(words: list[str], headwear: str | None) -> str:
    plain = {"explorer": "#8a6a42", "beanie": "#c8553d", "wizard": "#34408f", "crown": "#e3b341", "goggles": "#5c3b26"}
    noun = next((word for word in words if word in {"hat", "beanie", "fedora", "headphones"}), "")
    named = near(words, frozenset(CLOTHES_COLOURS), noun) if noun else None
    return CLOTHES_COLOURS[named] if named else plain.get(headwear or "", "#343a4a")


def _glasses(known: set[str], rng: np.random.Generator) -> str | None:
    lot = rng.random()
    if "sunglasses" in known or "shades" in known:
        return "dark"
    if known & {"glasses", "spectacles", "bespectacled", "nerd", "librarian", "professor"}:
        return "round"
    return "round" if lot < 0.12 else None


def _expression(known: set[str], rng: np.random.Generator) -> tuple[str, str, str]:
    """Mouth, eyes, eyebrows."""
    calm = (
        "smile",
        _pick(rng, ["happy", "happy", "happy", "happy", "humble"]),
        _pick(rng, ["neutral", "raised", "happy"]),
    )
    if known & _GRIM:
        return "angry", "humble", "angry"
    if known & _SAD:
        return "sad", "humble", "sad"
    if known & _SURPRISED:
        return "agape", "wide", "raised"
    if known & _HAPPY:
        return ("laugh" if known & {"laughing", "laugh", "joyful", "grin", "grinning"} else "smile"), "happy", "happy"
    return calm
