"""Frames from a journal: what a monitor shows of a conversation that another process holds, or nobody at all.

Numbered by the place in the journal, which grows as the ids of a socket do.
"""

from __future__ import annotations

from greenline.channels.live.models import (
    AgentResponse,
    GuardrailTriggered,
    Interruption,
    LiveEvent,
    ResponseCorrection,
    RichContent,
    TakenOver,
    ToolRequest,
    ToolResponse,
    UserTranscript,
)
from greenline.channels.live.rich_content import SHOWN
from greenline.channels.socket.server_messages import Frame, frames
from greenline.conversations.events import (
    AgentInterrupted,
    AgentMessage,
    Entry,
    GuardrailsChecked,
    HumanTakeover,
    Noted,
    ToolCalled,
    ToolReturned,
    UserMessage,
)


class JournalFrames:
    """The frames of one conversation's entries, which are told in their order."""

    def __init__(self) -> None:
        self._said: tuple[str, int, str] = ("", 0, "")
        """The last answer: its id, its place, and its words."""

    def __call__(self, entry: Entry) -> tuple[Frame, ...]:
        """The frames that tell of an entry; none for one that no client is told of."""
        return tuple(frame for event in self._events(entry) for frame in frames(event))

    def _events(self, entry: Entry) -> tuple[LiveEvent, ...]:
        event, place = entry.event, entry.seq
        match event:
            case UserMessage():
                return (UserTranscript(place, event.text, medium="audio" if event.medium == "audio" else "text"),)
            case AgentMessage() if event.text:
                self._said = (event.id, place, event.text)
                return (AgentResponse(place, event.text, event.id),)
            case AgentInterrupted():
                return self._cut(event)
            case ToolCalled():
                return (ToolRequest(place, event.request_id, event.name, event.type),)
            case ToolReturned():
                return (ToolResponse.of(place, event),)
            case Noted(what=what, detail=row) if what == SHOWN:
                return (RichContent(place, row["rich_content_id"], row["component"], row["props"]),)
            case GuardrailsChecked() if event.hits:
                return (GuardrailTriggered(),)
            case HumanTakeover():
                return (TakenOver(by_human=event.active),)
            case _:
                return ()

    def _cut(self, event: AgentInterrupted) -> tuple[LiveEvent, ...]:
        message_id, place, text = self._said
        if message_id != event.message_id:  # said before what this client was told of
            return ()
        if event.heard == text:
            return (Interruption(place),)
        return (Interruption(place), ResponseCorrection(place, text, event.heard))
