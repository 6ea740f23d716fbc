"""Texts for several voices: what stands in ``<Joe>...</Joe>`` is spoken by the voice of that label.

Only the labels that an agent has are labels (reference: ``tts.supported_voices``); every other tag is text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

_ENDS: Final = ".,;:!?…)]\"'”’"
"""After these, and after letters, the words of another voice need a space before them."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text and the label of its voice, None for the agent's own."""

    text: str
    label: str | None = None


class LabelReader:
    """Takes a text in pieces and gives it without its labels; only what may be a label is kept back.

    Space between two voices belongs to the first of them. A label that is not closed holds to the end.
    """

    def __init__(self, labels: Collection[str]) -> None:
        self._labels = {label.casefold(): label for label in labels}
        names = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
        self._marks = re.compile(rf"<(?P<slash>/?)\s*(?P<label>{names})\s*>", re.IGNORECASE) if labels else None
        self._rest = ""
        self._last = ""
        self._speaker: str | None = None
        self._next: str | None = None
        """The label of what comes; it becomes the speaker with its first word."""

    def push(self, text: str) -> list[Span]:
        """What is certain now."""
        if self._marks is None:
            return [Span(text)] if text else []
        self._rest += text
        found: list[Span] = []
        begin = 0
        for mark in self._marks.finditer(self._rest):
            found += self._take(self._rest[begin : mark.start()])
            self._next = None if mark["slash"] else self._labels[mark["label"].casefold()]
            begin = mark.end()
        end = self._certain(begin)
        found += self._take(self._rest[begin:end])
        self._rest = self._rest[end:]
        return found

    def flush(self) -> list[Span]:
        """What is left, at the end of the text; the next one begins without a label."""
        rest, self._rest = self._rest, ""
        found = self._take(rest)
        self._last, self._speaker, self._next = "", None, None
        return found

    def _take(self, text: str) -> list[Span]:
        words, before = text, ""
        if self._last and self._next != self._speaker:
            words = text.lstrip()
            before = text[: len(text) - len(words)] or (" " if self._runs_into(words) else "")
        found = [Span(before, self._speaker)]
        if words:
            self._speaker = self._next
            found.append(Span(words, self._speaker))
        self._last = (self._last + before + words)[-1:]
        return [span for span in found if span.text]

    def _runs_into(self, words: str) -> bool:
        return words[:1].isalnum() and (self._last.isalnum() or self._last in _ENDS)

    def _certain(self, begin: int) -> int:
        """Where the beginning of a label may stand at the end of what there is."""
        place = self._rest.rfind("<", begin)
        name = self._rest[place + 1 :].removeprefix("/").lstrip().casefold()
        may_be = any(label.startswith(name) or label == name.rstrip() for label in self._labels)
        return place if place >= 0 and may_be else len(self._rest)


def spans(text: str, labels: Collection[str]) -> list[Span]:
    """``text`` without its labels, in stretches of one voice."""
    reader = LabelReader(labels)
    found = [*reader.push(text), *reader.flush()]
    same_voice = groupby(found, attrgetter("label"))
    whole = (Span("".join(span.text for span in stretch), label) for label, stretch in same_voice)
    return [span for span in whole if span.text.strip()]


def unlabelled(text: str, labels: Collection[str]) -> str:
    """``text`` as it is read: the labels are gone."""
    return "".join(span.text for span in spans(text, labels)) if labels else text
