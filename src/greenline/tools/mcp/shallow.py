"""What a server says, without what is nested too deeply: the SDK would refuse the whole message, and all tools in it.

Nothing is parsed: brackets outside of strings are counted as the bytes come, and what stands deeper than `MAX_LEVELS`
gives way to a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MAX_LEVELS: Final = 190
"""Lists and objects within each other. The SDK reads 200; a schema that a model may be told of has far fewer."""
LEFT_OUT: Final = b'"[left out: nested too deeply]"'

_MARKS: Final = re.compile(rb'[\[\]{}"\\\n\r]')
_QUOTE, _BACKSLASH = b'"\\'


class Shallow:
    """One answer: a stream of ``events``, each of which is a line of JSON, or else one text of JSON."""

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._level = 0
        self._in_string = False
        self._escaped = -1
        """Where in the piece that comes next the character is that a backslash has escaped."""

    def take(self, piece: bytes) -> bytes:
        """What is kept of the next piece, which may begin and end anywhere."""
        kept: list[bytes] = []
        since = 0
        for at, mark in self._marks(piece):
            before = self._level
            self._level = before + 1 if mark in b"[{" else max(0, before - 1) if mark in b"]}" else 0
            if before <= MAX_LEVELS < self._level:
                kept += [piece[since:at], LEFT_OUT]
            elif self._level <= MAX_LEVELS < before:
                since = at + 1 if mark in b"]}" else at
        if self._level <= MAX_LEVELS:
            kept.append(piece[since:])
        return b"".join(kept)

    def _marks(self, piece: bytes) -> Iterator[tuple[int, int]]:
        """The brackets outside of strings, and the ends of events, each with its place."""
        for match in _MARKS.finditer(piece):
            at, mark = match.start(), piece[match.start()]
            if mark in b"\n\r":
                if self._events:
                    self._in_string = False
                    yield at, mark
            elif at == self._escaped:
                continue
            elif self._in_string:
                self._in_string = mark != _QUOTE
                self._escaped = at + 1 if mark == _BACKSLASH else self._escaped
            elif mark == _QUOTE:
                self._in_string = True
            elif mark != _BACKSLASH:
                yield at, mark
        self._escaped -= len(piece)
