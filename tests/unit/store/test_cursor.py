from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.store import cursor
from greenline.store.cursor import InvalidCursor


@given(st.text().filter(lambda text: "\0" not in text), st.integers(-(2**63), 2**63 - 1))
def test_a_cursor_gives_back_its_key(text: str, number: int) -> None:
    assert cursor.decode(cursor.encode("list:name:asc", text, number), "list:name:asc", str, int) == [text, number]


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        cursor.decode(text, "list:name:asc", str, int)


@pytest.mark.parametrize(
    "content",
    [b'["other",1]', b'["list",1,2]', b'["list"]', b'["list","1"]', b'["list",true]', b'["list",1e3]', b"{}", b"1"],
)
def test_cursors_of_other_lists_and_of_other_makers_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidCursor):
        cursor.decode(base64.urlsafe_b64encode(content).decode(), "list", int)


def test_numbers_beyond_the_database_are_refused() -> None:
    with pytest.raises(InvalidCursor):
        cursor.decode(base64.urlsafe_b64encode(b'["list",9223372036854775808]').decode(), "list", int)
