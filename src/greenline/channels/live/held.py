"""The live conversations that this process holds, for those who watch them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from greenline.channels.live.models import (
    AgentResponse,
    ClientToolCall,
    DtmfRequest,
    GuardrailTriggered,
    Interruption,
    Listener,
    LiveEvent,
    ResponseCorrection,
    ResponseMetadata,
    RichContent,
    SessionEnded,
    TakenOver,
    ToolRequest,
    ToolResponse,
    UserTranscript,
)
from greenline.channels.live.session import LiveSession
from greenline.clock import Clock
from greenline.tools.mcp.desk import McpConnections, McpToolCall

HISTORY: Final = 100
"""Past events of which who begins to watch is told (reference: about the last 100)."""
_LASTING: Final = (
    AgentResponse,
    ClientToolCall,
    DtmfRequest,
    GuardrailTriggered,
    Interruption,
    McpConnections,
    McpToolCall,
    ResponseCorrection,
    ResponseMetadata,
    RichContent,
    TakenOver,
    ToolRequest,
    ToolResponse,
    UserTranscript,
)
"""What tells something after the moment: no pieces of an answer, no signs of life."""


class HeldConversation:
    """One of them, and what was told of it of late."""

    def __init__(self, session: LiveSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._recent: deque[tuple[datetime, LiveEvent]] = deque(maxlen=HISTORY)
        session.subscribe(self._keep)

    def recent(self) -> Iterator[tuple[datetime, LiveEvent]]:
        """What was told so far, with its moments; the oldest of many are forgotten."""
        return iter(self._recent)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` what happens from now on, the end included; call what is returned to stop."""
        return self._session.subscribe(listener)

    def _keep(self, event: LiveEvent) -> None:
        if isinstance(event, _LASTING) and not (isinstance(event, UserTranscript) and event.tentative):
            self._recent.append((self._clock.now(), event))


class Held:
    """All of them that may be watched (``conversation.monitoring_enabled``), by their ids."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._conversations: dict[str, HeldConversation] = {}

    def add(self, session: LiveSession) -> None:
        """Hold a conversation from its beginning to its end."""
        if not session.config.conversation.monitoring_enabled:
            return
        name = session.conversation_id
        self._conversations[name] = HeldConversation(session, self._clock)

        def ended(event: LiveEvent) -> None:
            if isinstance(event, SessionEnded):
                self._conversations.pop(name, None)

        session.subscribe(ended)

    def find(self, conversation_id: str) -> HeldConversation | None:
        """A conversation that has not ended; None where another process holds it, or nobody."""
        return self._conversations.get(conversation_id)
