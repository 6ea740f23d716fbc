"""When a conversation is over. Pure rules (reference: life of a message conversation)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from greenline.conversations.projection import Projection

MAX_DURATION: Final = "Conversation exceeded the maximum duration"
INACTIVITY: Final = "Conversation ended after inactivity"
SUPERSEDED: Final = "A newer conversation with the same person began"


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
    longest = Deadline(row.accepted_at + timedelta(seconds=max_duration_seconds), MAX_DURATION)
    if row.last_agent_message_at is None:
        return longest
    silent = Deadline(row.last_agent_message_at + timedelta(seconds=inactivity_seconds), INACTIVITY)
    return min(longest, silent, key=lambda deadline: deadline.at)
