"""The API's small readers: cursors, ranges, tags, waits, pointers. They take anything and never break."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import cursors
from api.byte_ranges import ByteRange, RangeNotSatisfiable, etag_matches, parse_range
from api.waiting import preferred_wait
from contracts.statuses import Kind
from engine.starts import summary
from errors import InvalidCursor


@given(st.uuids())
def test_a_cursor_leads_back_to_its_id(last: UUID) -> None:
    assert cursors.decode(cursors.encode(last)) == last


@given(st.text(max_size=40))
def test_any_other_cursor_is_refused(text: str) -> None:
    try:
        found = cursors.decode(text)
    except InvalidCursor:
        return
    assert cursors.decode(cursors.encode(found)) == found


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 1, 100)),
        ("bytes=10-19", ByteRange(10, 10, 100)),
        ("bytes=90-", ByteRange(90, 10, 100)),
        ("bytes=-5", ByteRange(95, 5, 100)),
        ("bytes=-500", ByteRange(0, 100, 100)),
        ("bytes=50-9999", ByteRange(50, 50, 100)),
        ("bytes=20-10", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
        ("nonsense", None),
    ],
)
def test_a_range_header_is_read_as_the_standard_says(header: str, expected: ByteRange | None) -> None:
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_outside_of_the_object_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 100)


@given(st.text(max_size=30) | st.from_regex(r"bytes=\d*-\d*", fullmatch=True), st.integers(0, 10**12))
def test_a_range_that_is_read_lies_inside_of_the_object(header: str, total: int) -> None:
    try:
        part = parse_range(header, total)
    except RangeNotSatisfiable:
        return
    assert part is None or (part.start >= 0 and part.length > 0 and part.start + part.length <= total)


@pytest.mark.parametrize(
    ("header", "matches"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False), ("", False)],
)
def test_entity_tags_are_compared_weakly(header: str, matches: bool) -> None:
    assert etag_matches(header, '"a"') is matches


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ("WAIT = 7", 7),
        ('wait="3"; foo=1', 3),
        ("wait=3600", 60),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=soon", None),
        ("await=5", None),
        ("", None),
        (None, None),
    ],
)
def test_prefer_wait_is_read_and_bounded(header: str | None, seconds: int | None) -> None:
    assert preferred_wait(header) == seconds


def test_a_summary_for_the_engine_names_the_theme_and_no_words_of_the_client() -> None:
    request = {"avatar": {"description": "secret"}, "scene": {"theme": "aurora-night", "details": "secret"}}

    assert summary(Kind.avatar_scene, request) == "avatar, then scene aurora-night"
    assert summary(Kind.scene, request) == "scene aurora-night"
    assert summary(Kind.avatar, {"avatar": {}, "scene": None}) == "avatar"
    assert summary(Kind.image, {"prompt": "a fox", "count": 1, "image_asset_ids": []}) == "1 picture"
    assert summary(Kind.image, {"prompt": "a fox", "count": 4}) == "4 pictures"
    assert summary(Kind.image, {"prompt": "a fox", "image_asset_ids": ["1", "2"]}) == "1 picture from 2 of the client's"
    assert summary(Kind.enhance, {"operation": "face_restore"}) == "face_restore"
