"""When a conversation is over. Pure rules (reference: life of a message conversation)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from greenline.clock import later
from greenline.conversations.events import Event, HumanTakeover
from greenline.conversations.projection import Projection

MAX_DURATION: Final = "Conversation exceeded the maximum duration"
INACTIVITY: Final = "Conversation ended after inactivity"
SUPERSEDED: Final = "A newer conversation with the same person began"
NOT_REACHED: Final = "The message that began it did not reach the person"
AGENT_DELETED: Final = "The agent was deleted"
ENDED_BY_OPERATOR: Final = "Ended by an operator"

TAKEOVER_SILENCE: Final = timedelta(hours=24)
"""Silence after which a conversation that a human holds ends: as long as WhatsApp lets a business answer."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment at which a conversation ends by itself, and why."""

    at: datetime
    reason: str


def deadline(row: Projection, *, max_duration_seconds: float, inactivity_seconds: float) -> Deadline | None:
    """The nearest end of an open conversation; None while it waits for the reply to a business-started message.

    The maximum counts from its acceptance (for a business-started one: from the reply), inactivity from the
    agent's last message.
    """
    if row.awaiting_first_user_message or row.accepted_at is None:
        return None
    longest = Deadline(later(row.accepted_at, max_duration_seconds), MAX_DURATION)
    if row.last_agent_message_at is None:
        return longest
    silent = Deadline(later(row.last_agent_message_at, inactivity_seconds), INACTIVITY)
    return min(longest, silent, key=lambda deadline: deadline.at)


def takeover_deadline(row: Projection) -> Deadline:
    """The end of an open conversation that a human has taken over: no limit of the agent's holds for it."""
    moments = (row.started_at, row.accepted_at, row.last_agent_message_at, row.last_user_message_at)
    return Deadline(max(moment for moment in moments if moment is not None) + TAKEOVER_SILENCE, INACTIVITY)


def taken_over(events: Iterable[Event]) -> bool:
    """Whether a human has taken over, by what has happened so far."""
    active = False
    for event in events:
        if isinstance(event, HumanTakeover):
            active = event.active
    return active
