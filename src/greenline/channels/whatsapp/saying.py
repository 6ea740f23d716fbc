"""What is said in a chat: recorded in the journal and queued for the outbox, each with the other's ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from greenline.channels.whatsapp.chat import Chat
from greenline.channels.whatsapp.commit import QueuedMessage, TurnCommit
from greenline.channels.whatsapp.compose import Composed, compose
from greenline.conversations.events import (
    AgentMessage,
    Event,
    ToolReturned,
)
from greenline.conversations.projection import Projection
from greenline.engine.turn import Spoken
from greenline.ids import new_id
from greenline.tools.models import Text


def speak(chat: Chat, conversation: Projection, commit: TurnCommit, text: str, origin: Any) -> None:
    """Queue a text of the agent, or of the human who speaks for it, and record it."""
    message = AgentMessage(id=new_id("msg"), text=text, origin=origin)
    composed = compose([Spoken(message.id, Text(text))], as_typed=origin == "human")
    record(chat, conversation, commit, [message], composed)


def record(
    chat: Chat,
    conversation: Projection,
    commit: TurnCommit,
    events: Sequence[Event],
    composed: Sequence[Composed],
    make_id: Callable[[str], str] = new_id,
) -> None:
    """Queue the messages, and record the events that they carry with their ids."""
    carried: dict[str, list[QueuedMessage]] = {}
    for message in composed:
        queued = QueuedMessage(make_id("out"), chat.phone_number_id, conversation.id, message)
        commit.outbox.append(queued)
        for event_id in message.event_ids:
            carried.setdefault(event_id, []).append(queued)
    commit.record(conversation, *(_carried(event, carried) for event in events))


def _carried(event: Event, carried: Mapping[str, list[QueuedMessage]]) -> Event:
    if isinstance(event, AgentMessage) and event.id in carried:
        outbox_ids = tuple(queued.id for queued in carried[event.id])
        fallback_ids = tuple(name for queued in carried[event.id] for name in queued.fallback_ids)
        return event.model_copy(update={"outbox_ids": outbox_ids, "fallback_ids": fallback_ids})
    if isinstance(event, ToolReturned) and event.request_id in carried:
        return event.model_copy(update={"outbox_ids": tuple(queued.id for queued in carried[event.request_id])})
    return event
