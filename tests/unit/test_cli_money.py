"""`diorama quote` and `diorama budgets`: what they ask, and what people and machines see."""

from typing import Any

import pytest

from tests.unit.test_cli_standing import call, words_missing

ID = "0199c0de-0000-7000-8000-000000000001"
QUOTE: dict[str, Any] = {
    "id": ID,
    "kind": "image",
    "min_usd": "0.008666",
    "expected_usd": "0.015575",
    "max_usd": "0.0990",
    "pictures": [
        {"step": "variant-1", "provider": "openai", "model": "gpt", "expected_usd": "0.015575", "max_usd": "0.0990"}
    ],
    "budgets": [
        {"of": "tenant", "period": "day", "left_usd": "0.05", "fits": False, "resets_at": "2026-11-22T00:00:00Z"},
        {"of": "system", "period": "month", "left_usd": None, "fits": True, "resets_at": "2026-12-01T00:00:00Z"},
    ],
    "warnings": [{"detail": "gpt is refused from 2026-12-01 on."}],
    "created_at": "2026-11-21T12:00:00Z",
    "expires_at": "2026-11-21T12:15:00Z",
}
BUDGET: dict[str, Any] = {
    "id": ID,
    "of": "key",
    "owner": "3cd2f1c8fc33",
    "set_by_operator": False,
    "period": "day",
    "hard": True,
    "limit_usd": "5.00",
    "held_usd": "0.25",
    "spent_usd": "1.50",
    "left_usd": "3.25",
    "alerted_percent": 0,
    "resets_at": "2026-11-22T00:00:00Z",
    "created_at": "2026-11-21T12:00:00Z",
}
WANTED = {"of": "key", "owner": "3cd2f1c8fc33", "period": "day", "limit_usd": "5.00", "hard": True, "note": ""}


async def test_people_see_what_each_picture_costs_and_how_to_have_it_at_that_price() -> None:
    done = await call(QUOTE, "quote", "image", "--prompt", "a fox", "--count", "2")

    assert (done.code, done.asked) == (0, ["POST /v1/quotes"])
    assert done.body == {"kind": "image", "prompt": "a fox", "count": 2}
    assert words_missing(done.out, "variant-1", "openai", "0.015575", "0.0990", "at least 0.008666") == []
    assert words_missing(done.out, "tenant's budget of the day has no room", "0.05 USD are left") == []
    assert (
        words_missing(done.out, "system's budget of the month has room", "refused from 2026-12-01", f"--quote {ID}")
        == []
    )


async def test_machines_see_the_quote_as_it_came() -> None:
    done = await call(QUOTE, "quote", "image", "--prompt", "a fox", "--json")

    assert done.records == [{"type": "quote", "quote": QUOTE}]


async def test_a_quotes_id_goes_into_the_request() -> None:
    accepted = {"id": ID, "kind": "image", "quote": {"max_usd": "0.0990"}}
    done = await call(accepted, "generate", "image", "--prompt", "a fox", "--quote", ID, "--no-wait", "--json")

    assert (done.code, done.asked) == (0, ["POST /v1/generations"])
    assert done.body == {"kind": "image", "prompt": "a fox", "quote_id": ID}


async def test_what_does_not_fit_together_is_refused_before_anybody_is_asked() -> None:
    done = await call(QUOTE, "quote", "avatar", "--theme", "moon-base")

    assert (done.code, done.asked) == (2, [])


async def test_people_see_what_is_held_spent_and_left() -> None:
    done = await call({"items": [BUDGET], "next_cursor": None}, "budgets", "list")

    assert (done.code, done.asked) == (0, ["GET /v1/budgets?limit=100"])
    assert words_missing(done.out, "key 3cd2f1c8fc33", "day", "hard", "5.00", "0.25", "1.50", "3.25") == []


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("key", "3cd2f1c8fc33", "--usd", "5.00", "--per", "day"), WANTED),
        (
            ("tenant", "--usd", "0.1", "--per", "month", "--soft", "--note", "as agreed"),
            {"of": "tenant", "owner": "", "period": "month", "limit_usd": "0.1", "hard": False, "note": "as agreed"},
        ),
    ],
)
async def test_a_budget_is_set_as_it_was_typed(arguments: tuple[str, ...], wanted: dict[str, Any]) -> None:
    done = await call(BUDGET, "budgets", "set", *arguments, "--json")

    assert (done.code, done.asked, done.body) == (0, ["POST /v1/budgets"], wanted)
    assert done.records == [{"type": "budget", "budget": BUDGET}]


async def test_an_amount_that_is_none_is_refused_before_anybody_is_asked() -> None:
    done = await call(BUDGET, "budgets", "set", "tenant", "--usd", "much", "--per", "day")

    assert (done.code, done.asked) == (2, [])


async def test_a_budget_is_removed_by_its_id() -> None:
    done = await call({}, "budgets", "remove", ID, "--json")

    assert (done.code, done.asked) == (0, [f"DELETE /v1/budgets/{ID}"])
    assert done.records == [{"type": "removed", "id": ID}]
