"""Cuts a text into what can be spoken on its own: sentences while it streams, passages when it is there."""

from __future__ import annotations

import re
from typing import Final

FIRST_CLAUSE: Final = 40
"""Characters after which the first piece may end at a comma: the person hears something sooner."""
LONGEST: Final = 300
"""Characters after which a text without any end of a sentence is cut at a space."""
LONGEST_SHORTENED: Final = 8
"""Characters of what `_SHORTENED` finds, at most."""
PASSAGE: Final = 600
"""Characters of a passage: providers take 2,000 (Deepgram) or more at once, and who takes over begins it again."""

_END: Final = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]]*\s+|[。！？]+|\n+")
"""Looked for from the first of its signs alone: of thousands of points each would be tried with all that follow."""
_SHORTENED: Final = re.compile(
    r"(?<![\w.])(?:(?:Dr|Mr|Mrs|Ms|Prof|St|Str|Nr|Sr|Sra|vs|ca|bzw|approx|[^\W\d_]|e\.g|i\.e)\.|(?:\d{1,2}\.){1,2})$"
)
"""A point that ends no sentence: of a title, an initial, a day ("am 3. Mai"), the number of an entry."""
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

    @property
    def unfinished(self) -> bool:
        """Whether a sentence has begun."""
        return bool(self._rest.strip())

    def words(self) -> str:
        """Those that are complete of an unfinished sentence, for who has waited for the rest; ``""`` if none is.

        A tag or a link that has begun is no words, and waits for its end.
        """
        words = self._rest[: self._rest.rfind(" ") + 1]
        for opening, closing in ("[]", "<>"):
            begun = words.rfind(opening)
            if begun >= 0 and closing not in words[begun:]:
                words = words[:begun]
        words = words if words.strip() else ""
        self._rest = self._rest[len(words) :]
        self._first = self._first and not words
        return words

    def flush(self) -> list[str]:
        """What is left, at the end of the text."""
        rest, self._rest, self._first = self._rest, "", True
        return [rest] if rest.strip() else []

    def _cut(self) -> int | None:
        end = self._end()
        if end is not None and end.start() < LONGEST:
            return end.end()
        if self._first and (clause := _CLAUSE.search(self._rest, FIRST_CLAUSE)) is not None:
            return clause.end()
        if len(self._rest) > LONGEST and (space := self._rest.rfind(" ", 0, LONGEST)) > 0:
            return space + 1
        return None

    def _end(self) -> re.Match[str] | None:
        ends = _END.finditer(self._rest)
        return next((end for end in ends if "\n" in end[0] or not self._is_shortened(end.start() + 1)), None)

    def _is_shortened(self, until: int) -> bool:
        return _SHORTENED.search(self._rest, max(0, until - LONGEST_SHORTENED), until) is not None


def passages(text: str, most: int = PASSAGE) -> list[str]:
    """``text`` in pieces of whole sentences, each of at most ``most`` characters where it has spaces."""
    sentences = Sentences()
    found = [""]
    for sentence in (*sentences.push(text), *sentences.flush()):
        if len(found[-1]) + len(sentence) > most:
            found.append("")
        found[-1] += sentence
    return [passage for passage in found if passage.strip()]
