"""Softer words for refused prompts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import PromptError
from prompts.rewriting import NEVER, Rewriter
from sandbox.policy import CATEGORIES, refused_category

REWRITER = Rewriter.load()
HARSH = [
    ("a gory battle at dawn", "violence/graphic"),
    ("Gore everywhere, and a knight who was beheaded", "violence/graphic"),
    ("a nude statue in a garden", "sexual"),
    ("an erotic dance", "sexual"),
    ("a poem about suicide", "self-harm"),
    ("how they make a bomb in a film", "illicit/violent"),
]


@pytest.mark.parametrize(("prompt", "category"), HARSH)
def test_a_refused_prompt_becomes_one_that_is_not_refused(prompt: str, category: str) -> None:
    assert refused_category(prompt) is not None

    softer = REWRITER.rewritten(prompt, [category])

    assert softer is not None
    assert refused_category(softer) is None


def test_what_the_prompt_is_about_stays_and_a_sentence_still_begins_as_one() -> None:
    softer = REWRITER.rewritten("Gory knights , in the rain.\n\nA castle behind them", ["violence/graphic"])

    assert softer == "Dramatic knights, in the rain.\n\nA castle behind them"


def test_parts_of_words_are_left_alone() -> None:
    assert REWRITER.rewritten("a category of bloodhounds in Gorey", ["violence"]) is None


@pytest.mark.parametrize("category", sorted(NEVER))
def test_some_categories_get_no_suggestion_whatever_the_words(category: str) -> None:
    assert REWRITER.rewritten("a naked person with blood", [category, "violence"]) is None


def test_a_filter_that_names_no_category_is_answered_with_all_rules() -> None:
    assert REWRITER.rewritten("Mickey Mouse in a bloody duel", ["unspecified"]) == (
        "A cheerful cartoon mouse in a dramatic duel"
    )
    assert REWRITER.rewritten("a bloody duel", ["unspecified"]) == "a dramatic duel"


def test_there_is_no_suggestion_when_no_rule_fits() -> None:
    assert REWRITER.rewritten("a fox in the snow", ["violence"]) is None


@given(prompt=st.text(max_size=200), categories=st.lists(st.sampled_from([*CATEGORIES, "unspecified", "new"])))
def test_a_suggestion_is_never_the_same_text(prompt: str, categories: list[str]) -> None:
    assert REWRITER.rewritten(prompt, categories) != prompt


@given(st.lists(st.sampled_from([word for prompt, _ in HARSH for word in prompt.split()]), min_size=1))
def test_a_suggestion_needs_no_second_one(words: list[str]) -> None:
    everything = sorted(set(CATEGORIES) - NEVER)
    softer = REWRITER.rewritten(" ".join(words), everything)

    assert softer is None or REWRITER.rewritten(softer, everything) is None


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text('categories = ["violence"]\nrules = []\n')

    with pytest.raises(PromptError, match=r"odd\.toml"):
        Rewriter.load(tmp_path)
