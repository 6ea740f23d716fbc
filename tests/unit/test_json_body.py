"""What passes is JSON that every part can hold; the rest is told by its place."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.json_body import MAX_DEPTH, RefusedBody, check_json

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


@given(JSON)
def test_storable_json_passes_unchanged(value: Any) -> None:
    assert json.loads(check_json(json.dumps(value).encode())) == value


@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_refused(body: bytes) -> None:
    with contextlib.suppress(RefusedBody):
        passed = check_json(body)
        assert not passed.strip() or "\0" not in str(json.loads(passed))


@pytest.mark.parametrize(
    ("body", "kind", "loc"),
    [
        (b'{"a": [1, "x\\u0000"]}', "string_nul", ["body", "a", 1]),
        (b'{"a": {"b\\u0000": 1}}', "string_nul", ["body", "a"]),
        (b'{"a": "\\udc00"}', "json_invalid", ["body", 7]),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "too_deep", ["body"]),
        (b"[" * 5000, "json_invalid", ["body", 1025]),
        (b"Infinity", "json_invalid", ["body", 0]),
    ],
)
def test_what_is_refused_is_told_by_its_place(body: bytes, kind: str, loc: list[str | int]) -> None:
    with pytest.raises(RefusedBody) as refused:
        check_json(body)
    item = refused.value.item()
    assert (item["type"], item["loc"]) == (kind, loc)


@pytest.mark.parametrize("body", [b"", b"  ", b'"\\\\u0000"', b"[" * MAX_DEPTH + b"]" * MAX_DEPTH])
def test_what_looks_alike_passes(body: bytes) -> None:
    assert check_json(body) == body


def test_large_numbers_become_floating() -> None:
    assert json.loads(check_json(b"[18446744073709551616, 9223372036854775808]")) == [2.0**64, 2**63]
