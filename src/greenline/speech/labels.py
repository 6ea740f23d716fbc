"""Texts for several voices: what stands in ``<Joe>...</Joe>`` is spoken by the voice of that label.

Only the labels that an agent has are labels (reference: ``tts.supported_voices``); every other tag is text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text and the label of its voice, None for the agent's own."""

    text: str
    label: str | None = None


def spans(text: str, labels: Collection[str]) -> list[Span]:
    """``text`` without its labels, in stretches of one voice. A label that is not closed holds to the end."""
    found, label, begin = [], None, 0
    for mark in _marks(labels).finditer(text) if labels else ():
        found.append(Span(text[begin : mark.start()], label))
        label, begin = (None if mark["slash"] else _named(mark["label"], labels)), mark.end()
    found.append(Span(text[begin:], label))
    return [span for span in found if span.text.strip()]


def unlabelled(text: str, labels: Collection[str]) -> str:
    """``text`` as it is read: the labels are gone."""
    return _marks(labels).sub("", text) if labels else text


def _marks(labels: Collection[str]) -> re.Pattern[str]:
    names = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    return re.compile(rf"<(?P<slash>/?)\s*(?P<label>{names})\s*>", re.IGNORECASE)


def _named(written: str, labels: Collection[str]) -> str:
    return next(label for label in labels if label.casefold() == written.casefold())
