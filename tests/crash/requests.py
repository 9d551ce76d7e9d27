"""The requests of the lab: small pictures, each with words of its own, so that a fault strikes the one it was meant for."""

from collections.abc import Callable

from tests.crash.asked import Json

Request = Callable[[str], Json]

LOOKS = "a young explorer with a green scarf"


def chain(*, avatar: str = "", scene: str = "", **options: object) -> Request:
    """An avatar, then a scene with it; the texts are directions to the sandbox."""

    def make(name: str) -> Json:
        return {
            "kind": "avatar_scene",
            "avatar": {"description": f"{LOOKS}, called {name} {avatar}", "size": "native"},
            "scene": {"theme": "aurora-night", "details": f"the home of {name} {scene}", "size": "native"},
            **options,
        }

    return make


def avatar(direction: str = "", **options: object) -> Request:
    """One avatar."""

    def make(name: str) -> Json:
        return {
            "kind": "avatar",
            "avatar": {"description": f"{LOOKS}, called {name} {direction}", "size": "native"},
            **options,
        }

    return make


def scene_from(image_url: str, direction: str = "", **options: object) -> Request:
    """A scene with a picture that the client brings."""

    def make(name: str) -> Json:
        return {
            "kind": "scene",
            "scene": {"theme": "aurora-night", "details": f"the home of {name} {direction}", "size": "native"},
            "image_url": image_url,
            **options,
        }

    return make


def variants(count: int, direction: str = "", **options: object) -> Request:
    """So many pictures side by side, from the client's own words; all have the same direction."""

    def make(name: str) -> Json:
        return {"kind": "image", "prompt": f"{LOOKS}, called {name} {direction}", "count": count, **options}

    return make


def in_openais_form(direction: str = "") -> Request:
    """A picture as an application asks OpenAI for it."""

    def make(name: str) -> Json:
        return {"prompt": f"{LOOKS}, called {name} {direction}", "response_format": "url"}

    return make


def fault(words: str) -> str:
    """A direction to the sandbox: this fault, for this picture."""
    return f"[[sandbox fault={words}]]"


def lasting(seconds: float) -> str:
    """A direction to the sandbox: take so long."""
    return f"[[sandbox duration={seconds:g}]]"
