"""Cuts a text into what can be spoken on its own: sentences while it streams, passages when it is there."""

from __future__ import annotations

import re
from typing import Final

FIRST_CLAUSE: Final = 40
"""Characters after which the first piece may end at a comma: the person hears something sooner."""
LONGEST: Final = 300
"""Characters after which a text without any end of a sentence is cut at a space."""
PASSAGE: Final = 600
"""Characters of a passage: providers take 2,000 (Deepgram) or more at once, and who takes over begins it again."""

_END: Final = re.compile(r"[.!?…]+[\"'”’)\]]*\s+|[。！？]+|\n+")
_CLAUSE: Final = re.compile(r"[,;:–—]\s+")


class Sentences:
    """Takes pieces of text and gives sentences; together they are the text."""

    def __init__(self) -> None:
        self._rest = ""
        self._first = True

    def push(self, text: str) -> list[str]:
        """The sentences that are complete now."""
        self._rest += text
        found = []
        while (end := self._cut()) is not None:
            found.append(self._rest[:end])
            self._rest = self._rest[end:]
            self._first = False
        return found

    def flush(self) -> list[str]:
        """What is left, at the end of the text."""
        rest, self._rest, self._first = self._rest, "", True
        return [rest] if rest.strip() else []

    def _cut(self) -> int | None:
        end = _END.search(self._rest)
        if end is not None and end.start() < LONGEST:
            return end.end()
        if self._first and (clause := _CLAUSE.search(self._rest, FIRST_CLAUSE)) is not None:
            return clause.end()
        if len(self._rest) > LONGEST and (space := self._rest.rfind(" ", 0, LONGEST)) > 0:
            return space + 1
        return None


def passages(text: str, most: int = PASSAGE) -> list[str]:
    """``text`` in pieces of whole sentences, each of at most ``most`` characters where it has spaces."""
    sentences = Sentences()
    found = [""]
    for sentence in (*sentences.push(text), *sentences.flush()):
        if len(found[-1]) + len(sentence) > most:
            found.append("")
        found[-1] += sentence
    return [passage for passage in found if passage.strip()]
