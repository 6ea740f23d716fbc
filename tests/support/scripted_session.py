"""A conversation whose agent does what a test says, for what sockets and monitors make of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from greenline.agents.config import ConversationConfig
from greenline.channels.live.models import AudioOut, Listener, LiveEvent, SessionEnded
from greenline.channels.socket.session import Start


@dataclass
class ScriptedSession:
    """Keeps what it was told in ``heard``; `tell` is its agent."""

    conversation_id: str
    config: ConversationConfig
    text_only: bool = True
    out: AudioOut | None = None
    answering: bool = False
    files: set[str] = field(default_factory=set)
    listen: Callable[[bytes], object] = lambda pcm: None
    """Called with all sound."""
    heard: list[tuple[Any, ...]] = field(default_factory=list)
    ended: SessionEnded | None = None
    _listeners: list[Listener] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, event: LiveEvent) -> None:
        """Something happens."""
        for listener in list(self._listeners):
            listener(event)

    async def run(self) -> SessionEnded:
        await self._over.wait()
        assert self.ended is not None
        return self.ended

    def hear(self, pcm: bytes, of_seconds: float | None = None) -> None:
        self.heard.append(("sound", pcm))
        self.listen(pcm)

    def user_message(self, text: str, file_ids: Sequence[str] = (), rich_content_id: str | None = None) -> None:
        self.heard.append(("message", text, tuple(file_ids), rich_content_id))

    async def unknown_files(self, file_ids: Sequence[str]) -> list[str]:
        return [file_id for file_id in file_ids if file_id not in self.files]

    def user_activity(self) -> None:
        self.heard.append(("activity",))

    def contextual_update(self, text: str, context_id: str | None = None) -> None:
        self.heard.append(("context", text, context_id))

    def mcp_approval(self, tool_call_id: str, *, is_approved: bool) -> None:
        self.heard.append(("mcp_approval", tool_call_id, is_approved))

    def tool_result(self, tool_call_id: str, result: str, *, is_error: bool) -> None:
        self.heard.append(("tool", tool_call_id, result, is_error))

    def feedback(self, event_id: int, score: Literal["like", "dislike"] | None) -> None:
        self.heard.append(("feedback", event_id, score))

    def end(self, reason: str, *, code: int = 1000, error_type: str | None = None) -> None:
        """The end, once."""
        if self.ended is None:
            self.ended = SessionEnded(code, reason, error_type)
            self.tell(self.ended)
            self._over.set()


@dataclass
class ScriptedSessions:
    """Begins sessions with the agent's own configuration, changed by ``change``; ``refuse`` is raised instead."""

    change: dict[str, Any] = field(default_factory=dict)
    text_only: bool = True
    refuse: Exception | None = None
    starts: list[Start] = field(default_factory=list)
    sessions: list[ScriptedSession] = field(default_factory=list)

    turned_away: list[tuple[Start, int, str]] = field(default_factory=list)

    def held(self, conversation_id: str) -> None:
        """None is watched."""

    async def check(self, start: Start) -> None:
        """As `start`, without beginning anything."""
        if self.refuse is not None:
            raise self.refuse

    async def turn_away(self, start: Start, code: int, reason: str) -> None:
        """Kept."""
        self.turned_away.append((start, code, reason))

    async def start(self, start: Start, out: Callable[[ConversationConfig], AudioOut]) -> ScriptedSession:
        self.starts.append(start)
        if self.refuse is not None:
            raise self.refuse
        config = ConversationConfig.model_validate(self.change)
        name = start.admission.conversation_id or f"conv_{len(self.starts)}"
        session = ScriptedSession(name, config, self.text_only, out(config))
        self.sessions.append(session)
        return session
