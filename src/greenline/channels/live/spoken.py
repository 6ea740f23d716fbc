"""What the journal keeps of the sound of an answer: by whom its words were spoken, and when they began."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from greenline.channels.live.said import Said
from greenline.conversations.events import AgentMessage, Event, PartsBegan, ToolReturned, Voiced
from greenline.conversations.voices import beginnings


def parts_began(said: Said, events: Sequence[Event], moment: Callable[[float], datetime]) -> Iterator[PartsBegan]:
    """When the parts of messages of several voices came out; ``moment`` reads the clock by which they sounded."""
    texts = iter(said.sounded())
    for message in _messages(events):
        sounded = [(text, None if at is None else moment(at)) for text, at in next(texts, [])]
        if message.parts and (began := tuple(beginnings(message.parts, sounded))):
            yield PartsBegan(message_id=message.id, at=began)


def spoken_by(said: Said, events: Sequence[Event], moment: Callable[[float], datetime]) -> Iterator[Voiced]:
    """By whom, and from when on, each message was spoken of which something was, and the words of each tool.

    ``moment`` is as in `parts_began`.
    """
    for message, speaker, sounded in zip(_messages(events), said.speakers(), said.sounded(), strict=False):
        if speaker is not None:
            yield _voiced(message.id, speaker, sounded, moment)
    for event in events:
        if isinstance(event, ToolReturned) and (speaker := said.speaker_beside(event.request_id)) is not None:
            yield _voiced(event.request_id, speaker, said.sounded_beside(event.request_id), moment)


def _voiced(
    name: str,
    speaker: tuple[str, str],
    sounded: Sequence[tuple[str, float | None]],
    moment: Callable[[float], datetime],
) -> Voiced:
    voice_id, synthesiser = speaker
    at = next((at for _, at in sounded if at is not None), None)
    began = None if at is None else moment(at)
    return Voiced(message_id=name, voice_id=voice_id, synthesiser=synthesiser, began=began)


def _messages(events: Iterable[Event]) -> Iterator[AgentMessage]:
    """Those with words, as many as the utterance has texts."""
    return (event for event in events if isinstance(event, AgentMessage) and event.text)
