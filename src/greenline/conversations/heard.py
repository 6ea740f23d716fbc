"""What came across of what was said: an answer that was cut short counts up to where it was heard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from greenline.conversations.events import AgentInterrupted, AgentMessage, Event, ToolReturned, UserMessage


class Heard:
    """The words of a journal as the other side got them. Made of its events, in their order."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._cut = {event.message_id: event.heard for event in events if isinstance(event, AgentInterrupted)}

    def is_cut(self, event: AgentMessage | ToolReturned) -> bool:
        """Whether the person cut it short."""
        return (event.id if isinstance(event, AgentMessage) else event.request_id) in self._cut

    def text(self, event: Event) -> str:
        """What ``event`` says to the other side; empty for one that says nothing, or of which nothing was heard."""
        match event:
            case UserMessage():
                return event.text
            case AgentMessage():
                return self._cut.get(event.id, event.text)
            case ToolReturned():
                return self._cut.get(event.request_id, event.said)
            case _:
                return ""


def awaits_answer(events: Sequence[Event]) -> bool:
    """Whether the person has said something since they got an answer: one of which they heard nothing is none."""
    heard = Heard(events)
    for event in reversed(events):
        if isinstance(event, UserMessage) and not event.is_sign:
            return True
        if isinstance(event, AgentMessage | ToolReturned) and heard.text(event):
            return False
    return False
