"""Warning clients of models that will be shut down: in the quote's warnings, and in headers."""

from datetime import date, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime

import pytest

from api.model_warnings import ModelWarning, sunset_headers
from api.quotes import Quoter
from contracts.requests import AvatarRequest, AvatarSpec
from contracts.statuses import Kind
from providers.catalog import Catalog

CATALOG = Catalog.load()
ENDS = date(2026, 12, 1)
ENDING = CATALOG.entry("openai", "gpt-image-1.5").model_copy(update={"shutdown": ENDS})


def request(**options: str | bool) -> AvatarRequest:
    return AvatarRequest.model_validate(
        {"kind": Kind.avatar, "avatar": AvatarSpec(description="a fox").model_dump(), **options}
    )


def quoter(**dates: date) -> Quoter:
    rows = "\n".join(
        f'[[models]]\nprovider = "openai"\nmodel = "{model.replace("_", "-")}"\nshutdown = {day}\n'
        for model, day in dates.items()
    )
    return Quoter(Catalog.load_with(rows), configured=frozenset({"openai"}), review_above_usd=Decimal(1))


@pytest.mark.parametrize(("days", "warned"), [(31, False), (30, True), (1, True), (0, True)])
def test_a_model_is_warned_of_from_thirty_days_before_its_end(days: int, warned: bool) -> None:
    assert ENDING.ends_soon(ENDS - timedelta(days=days)) is warned


def test_a_model_without_an_end_is_never_warned_of() -> None:
    assert not CATALOG.models[0].model_copy(update={"shutdown": None}).ends_soon(date(2100, 1, 1))


def test_a_request_that_is_planned_with_an_ending_model_is_warned_and_told_what_replaces_it() -> None:
    soon = date.today() + timedelta(days=10)  # noqa: DTZ011 - a day, as in the catalog
    (warning,) = quoter(gpt_image_2=soon).warnings(request(model="gpt-image-2"))

    assert (warning.model, warning.shutdown) == ("gpt-image-2", soon)
    assert str(soon) in warning.detail


def test_a_request_for_a_model_that_stays_has_no_warning() -> None:
    soon = date.today() + timedelta(days=10)  # noqa: DTZ011 - a day, as in the catalog

    assert quoter(gpt_image_2=soon).warnings(request()) == ()


def test_the_replacement_is_named() -> None:
    warning = ModelWarning.of(ENDING)

    assert warning.replaced_by == "gpt-image-2.5-flare"
    assert "Use gpt-image-2.5-flare instead." in warning.detail


def test_headers_tell_the_earliest_end() -> None:
    later = ENDING.model_copy(update={"shutdown": date(2027, 1, 1)})
    accepted = {"warnings": [ModelWarning.of(entry).model_dump(mode="json") for entry in (later, ENDING)]}

    headers = sunset_headers(accepted)

    assert parsedate_to_datetime(headers["Sunset"]).date() == ENDS
    assert headers["Deprecation"] == "@1793491200"  # 2026-11-01T00:00:00Z


@pytest.mark.parametrize("accepted", [{}, {"warnings": []}])
def test_without_warnings_there_are_no_headers(accepted: dict[str, list[str]]) -> None:
    assert sunset_headers(accepted) == {}
