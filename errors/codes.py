"""All errors of the tree, and the way from a code to its class."""

from functools import cache

from errors.base import DioramaError


def every_error() -> list[type[DioramaError]]:
    """The classes of this package from the root down; what others derive from them stays theirs."""
    return _below(DioramaError)


def error_class(code: str) -> type[DioramaError]:
    """The class that carries this code; DioramaError itself for a code nobody knows."""
    return _by_code().get(code, DioramaError)


# At the first question and not at the import: only then are all areas there.
@cache
def _by_code() -> dict[str, type[DioramaError]]:
    return {error.code: error for error in reversed(every_error())}


def _below(base: type[DioramaError]) -> list[type[DioramaError]]:
    ours = (child for child in base.__subclasses__() if child.__module__.partition(".")[0] == __package__)
    return [base, *(found for child in ours for found in _below(child))]
