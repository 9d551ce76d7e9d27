"""The error tree as a whole."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import errors
from errors import DioramaError, ProviderBusy, ProviderError, error_class, every_error


def test_every_class_in_the_files_is_in_the_tree_and_shown_by_the_package() -> None:
    folder = Path(errors.__file__).parent
    files = [ast.parse(path.read_text("utf-8")) for path in folder.rglob("*.py")]
    written = sorted(node.name for file in files for node in ast.walk(file) if isinstance(node, ast.ClassDef))

    assert written == sorted(error.__name__ for error in every_error())
    assert set(written) <= set(errors.__all__)


def test_no_two_errors_share_a_code() -> None:
    shared = {code for code, carriers in Counter(error.code for error in every_error()).items() if carriers > 1}

    assert shared == set()


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.code)
def test_an_error_is_found_by_its_code_and_its_code_is_its_own(error: type[DioramaError]) -> None:
    assert error_class(error.code) is error


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.code)
def test_the_drawing_in_the_docstring_names_every_error(error: type[DioramaError]) -> None:
    assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.code)
def test_an_error_without_a_detail_speaks_by_its_title(error: type[DioramaError]) -> None:
    assert str(error()) == error.title
    assert error.suggestion


def test_a_code_that_nobody_knows_is_an_internal_error() -> None:
    assert error_class("TypeError") is DioramaError


def test_a_provider_may_say_for_one_case_who_pays() -> None:
    assert ProviderError(billed="yes").billed == "yes"
    assert ProviderError.billed == "no"


def test_a_busy_provider_says_when_to_come_again() -> None:
    assert ProviderBusy(retry_after_s=9).facts == {"retry_after_s": 9}
