"""An exported audit log proves itself: whatever is done to it shows."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.audit_chain import AuditChain, ChainSummary, checked
from errors import AuditChainBroken

ENTRIES = [{"id": str(number), "action": "key.revoked", "facts": {"n": number, "name": "ä"}} for number in range(5)]
# Nested a few levels deep and small: larger ones show no more, and take Hypothesis half a minute to make up.
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def exported(entries: list[dict[str, Any]]) -> list[str]:
    chain = AuditChain()
    return [*(chain.line(entry) for entry in entries), chain.end()]


def test_an_export_is_whole_and_the_same_entries_have_the_same_hash() -> None:
    first, again = exported(ENTRIES), exported(ENTRIES)

    assert checked(first) == checked(again) == ChainSummary(5, json.loads(first[-1])["hash"])
    assert checked(exported([])).entries == 0


@given(st.lists(st.dictionaries(st.text(), values, max_size=4), max_size=5))
def test_whatever_the_entries_say_the_export_is_whole(entries: list[dict[str, Any]]) -> None:
    assert checked(exported(entries)).entries == len(entries)


def reworded(lines: list[str]) -> list[str]:
    return [line.replace('"n": 2', '"n": 7') for line in lines]


def renamed(lines: list[str]) -> list[str]:
    """An entry that was changed, with a hash that fits itself: the next line gives it away."""
    told = json.loads(lines[1])
    chain = AuditChain()
    chain.line(ENTRIES[0])
    return [lines[0], chain.line(told["entry"] | {"action": "key.made"}), *lines[2:]]


@pytest.mark.parametrize(
    "tamper",
    [
        reworded,
        renamed,
        lambda lines: lines[:2] + lines[3:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: lines[:-1],
        lambda lines: [*lines[:-2], lines[-1]],
        lambda lines: ["not json", *lines],
        lambda lines: ["[]", *lines],
        lambda lines: [lines[0], *lines],
        lambda lines: [*lines, lines[0]],
        lambda lines: [*lines, ""],
    ],
)
def test_what_was_changed_left_out_moved_or_cut_off_is_found(tamper: Callable[[list[str]], list[str]]) -> None:
    with pytest.raises(AuditChainBroken):
        checked(tamper(exported(ENTRIES)))
