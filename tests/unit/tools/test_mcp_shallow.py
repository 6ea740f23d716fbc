"""What is read of a server's words when some of them are nested too deeply."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenline.text import is_deeper
from greenline.tools.mcp.shallow import LEFT_OUT, MAX_LEVELS, Shallow

TEXTS = st.text(st.sampled_from('a"\\[]{}\n\ré,:'), max_size=8)
JSON = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=20,
)


def pieces(text: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(ends)]


def kept(text: bytes, cuts: list[int], *, events: bool = False) -> bytes:
    shallow = Shallow(events=events)
    return b"".join(shallow.take(piece) for piece in pieces(text, cuts))


def wrapped(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = {"a": value}
    return value


@given(JSON, st.lists(st.integers(0, 1_000), max_size=5), st.sampled_from([None, 2]))
def test_what_is_not_deep_is_kept_as_it_is(value: Any, cuts: list[int], indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent).encode()
    assert kept(text, cuts) == text


@given(JSON, JSON, st.lists(st.integers(0, 3_000), max_size=5), st.integers(MAX_LEVELS, 260))
def test_what_is_deep_gives_way_to_a_text(value: Any, other: Any, cuts: list[int], levels: int) -> None:
    said = {"deep": wrapped([value], levels), "other": other}
    found = json.loads(kept(json.dumps(said, ensure_ascii=False).encode(), cuts))
    assert found["other"] == other
    assert not is_deeper(found, MAX_LEVELS)
    assert found["deep"] == wrapped(json.loads(LEFT_OUT), MAX_LEVELS - 1)


@given(JSON, st.lists(st.integers(0, 3_000), max_size=5))
def test_each_event_of_a_stream_is_taken_by_itself(value: Any, cuts: list[int]) -> None:
    """Whatever stands in the lines between."""
    whole = json.dumps(value).encode()
    deep = json.dumps(wrapped([value], MAX_LEVELS)).encode()
    half = b"[" * (MAX_LEVELS + 5)
    said = b"\r\n\r\n".join(b"data: " + event for event in (whole, half, deep, whole))
    read = kept(b': a "comment [[\r\n' + said, cuts, events=True).split(b"\r\n")
    first, second, third, fourth = (line for line in read if line.startswith(b"data: "))
    assert first == fourth == b"data: " + whole
    assert second == b"data: " + b"[" * MAX_LEVELS + LEFT_OUT
    assert json.loads(third.removeprefix(b"data: ")) == wrapped(json.loads(LEFT_OUT), MAX_LEVELS)
