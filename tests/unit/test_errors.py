"""The error tree as a whole."""

import pytest

import errors
from errors import DioramaError, ProviderBusy, ProviderError, error_class


def everyone(base: type[DioramaError] = DioramaError) -> list[type[DioramaError]]:
    found = [base, *(below for child in base.__subclasses__() for below in everyone(child))]
    return [error for error in found if error.__module__ == "errors"]  # deploy and commands have a few of their own


@pytest.mark.parametrize("error", everyone(), ids=lambda error: error.code)
def test_an_error_is_found_by_its_code_and_its_code_is_its_own(error: type[DioramaError]) -> None:
    assert error_class(error.code) is error


@pytest.mark.parametrize("error", everyone(), ids=lambda error: error.code)
def test_the_drawing_in_the_docstring_names_every_error(error: type[DioramaError]) -> None:
    assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", everyone(), ids=lambda error: error.code)
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
