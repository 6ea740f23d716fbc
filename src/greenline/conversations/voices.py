"""Messages in which several voices speak: their parts, up to what was heard, and as the model wrote them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate

from greenline.conversations.events import AgentMessage, Event, ToolReturned, VoicePart
from greenline.speech.labels import spans, unlabelled


def voiced(event: Event, labels: Collection[str]) -> Event:
    """``event`` with its words as they are heard and read; ``labels`` are those of the agent's further voices."""
    if isinstance(event, ToolReturned) and event.said:
        return event.model_copy(update={"said": unlabelled(event.said, labels)})
    if not isinstance(event, AgentMessage) or not labels:
        return event
    found = spans(event.text, labels)
    parts = tuple(VoicePart(text=span.text, label=span.label) for span in found)
    several = any(part.label is not None for part in parts)
    return event.model_copy(update={"text": "".join(part.text for part in parts), "parts": parts if several else ()})


def heard_parts(parts: Iterable[VoicePart], heard: str) -> Iterator[VoicePart]:
    """The parts up to where ``heard`` ends, which may differ from them in its spaces."""
    left = _letters(heard)
    for part in parts:
        letters = _letters(part.text)
        if left <= 0:
            return
        yield part if letters <= left else part.model_copy(update={"text": _beginning(part.text, left)})
        left -= letters


def beginnings(parts: Iterable[VoicePart], sounded: Sequence[tuple[str, datetime | None]]) -> Iterator[datetime]:
    """When the parts began that came out; ``sounded`` are their sentences, in order, with their moments.

    A part whose first sentence could not be spoken began with the next one.
    """
    ends = list(accumulate(_letters(sentence) for sentence, _ in sounded))
    before = 0
    for part in parts:
        moments = (at for end, (_, at) in zip(ends, sounded, strict=True) if at is not None and end > before)
        at = next(moments, None)
        if at is None:
            return
        yield at
        before += _letters(part.text)


def labelled(parts: Iterable[VoicePart]) -> str:
    """The parts as a model writes them."""
    return "".join(
        part.text if part.label is None else f"<{part.label}>{part.text.strip()}</{part.label}> " for part in parts
    ).strip()


def _letters(text: str) -> int:
    return len("".join(text.split()))


def _beginning(text: str, letters: int) -> str:
    """The first ``letters`` characters of ``text`` that are no spaces, with the spaces between them."""
    for place, character in enumerate(text):
        letters -= not character.isspace()
        if letters == 0:
            return text[: place + 1]
    return text
