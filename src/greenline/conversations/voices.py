"""Messages in which several voices speak: their parts, up to what was heard, and as the model wrote them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

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
    left = len("".join(heard.split()))
    for part in parts:
        letters = len("".join(part.text.split()))
        if left <= 0:
            return
        yield part if letters <= left else part.model_copy(update={"text": _beginning(part.text, left)})
        left -= letters


def labelled(parts: Iterable[VoicePart]) -> str:
    """The parts as a model writes them."""
    return "".join(
        part.text if part.label is None else f"<{part.label}>{part.text.strip()}</{part.label}> " for part in parts
    ).strip()


def _beginning(text: str, letters: int) -> str:
    """The first ``letters`` characters of ``text`` that are no spaces, with the spaces between them."""
    for place, character in enumerate(text):
        letters -= not character.isspace()
        if letters == 0:
            return text[: place + 1]
    return text
