"""Frames from a journal: what a monitor shows of a conversation that another process holds, or nobody at all.

Numbered by the place in the journal, which grows as the ids of a socket do.
"""

from __future__ import annotations

from greenline.channels.live.models import (
    AgentResponse,
    LiveEvent,
    TakenOver,
    ToolRequest,
    ToolResponse,
    UserTranscript,
)
from greenline.channels.socket.server_messages import Frame, frames
from greenline.conversations.events import (
    AgentMessage,
    Entry,
    HumanTakeover,
    ToolCalled,
    ToolReturned,
    UserMessage,
)


def journal_frames(entry: Entry) -> tuple[Frame, ...]:
    """The frames that tell of an entry; none for one that no client is told of."""
    told = _event(entry)
    return frames(told) if told is not None else ()


def _event(entry: Entry) -> LiveEvent | None:
    event = entry.event
    match event:
        case UserMessage():
            return UserTranscript(entry.seq, event.text, medium="audio" if event.medium == "audio" else "text")
        case AgentMessage() if event.text:
            return AgentResponse(entry.seq, event.text, event.id)
        case ToolCalled():
            return ToolRequest(entry.seq, event.request_id, event.name, event.type)
        case ToolReturned():
            return ToolResponse(
                entry.seq, event.request_id, event.name, event.type, is_error=event.is_error, result=event.result
            )
        case HumanTakeover():
            return TakenOver(by_human=event.active)
        case _:
            return None
