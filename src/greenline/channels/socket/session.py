"""What a socket needs of the conversation behind it, and of whoever begins one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from greenline.agents.config import ConversationConfig
from greenline.channels.live.models import AudioOut, Listener, LiveEvent, SessionEnded
from greenline.channels.socket.access import Admission


class Session(Protocol):
    """A conversation that this process holds. Everything but `run` and `unknown_files` returns at once."""

    @property
    def conversation_id(self) -> str:
        """Its id."""
        ...

    @property
    def config(self) -> ConversationConfig:
        """The agent's configuration with the overrides of this conversation."""
        ...

    @property
    def text_only(self) -> bool:
        """Whether there is no sound in it."""
        ...

    @property
    def answering(self) -> bool:
        """Whether the person waits for the agent: it thinks, speaks, or waits for a tool."""
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` what happens from now on; call what is returned to stop."""
        ...

    async def run(self) -> SessionEnded:
        """Greet, listen and answer until the end, which is written when this returns."""
        ...

    def hear(self, pcm: bytes, of_seconds: float | None = None) -> None:
        """Sound of the person, at `greenline.speech.models.HEARING_RATE`; ``of_seconds``: part of so long a piece."""
        ...

    def user_message(self, text: str, file_ids: Sequence[str] = (), rich_content_id: str | None = None) -> None:
        """A finished turn of the person."""
        ...

    async def unknown_files(self, file_ids: Sequence[str]) -> Sequence[str]:
        """Which of these the conversation does not have, as far as that can be told."""
        ...

    def user_activity(self) -> None:
        """The person is there: no turn timeout for now."""
        ...

    def contextual_update(self, text: str, context_id: str | None = None) -> None:
        """Background for the agent."""
        ...

    def tool_result(self, tool_call_id: str, result: str, *, is_error: bool) -> None:
        """The answer to a client tool call; one to an unknown call changes nothing."""
        ...

    def mcp_approval(self, tool_call_id: str, *, is_approved: bool) -> None:
        """The word on a call of an MCP tool; one for a call that does not wait for it changes nothing."""
        ...

    def feedback(self, event_id: int, score: Literal["like", "dislike"] | None) -> None:
        """A rating of one answer."""
        ...

    def end(self, reason: str, *, code: int = 1000, error_type: str | None = None) -> None:
        """End the conversation; `run` returns soon."""
        ...


class Watchable(Protocol):
    """A conversation that this process holds, for who watches it."""

    def recent(self) -> Iterator[tuple[datetime, LiveEvent]]:
        """What was told so far, with its moments; the oldest of many are forgotten."""
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` what happens from now on, the end included; call what is returned to stop."""
        ...


@dataclass(frozen=True, slots=True)
class Start:
    """What is known of a conversation that a client begins. ``data`` is its start data as it came."""

    admission: Admission
    data: dict[str, Any] = field(repr=False)
    source: str | None = None
    version: str | None = None
    queued_seconds: float | None = None


class Sessions(Protocol):
    """Where conversations come from."""

    async def check(self, start: Start) -> None:
        """Whether a conversation could begin so. Raises as `start` does."""
        ...

    async def start(self, start: Start, out: Callable[[ConversationConfig], AudioOut]) -> Session:
        """A conversation that is ready to run; ``out`` makes its voice once the formats are known.

        Raises `greenline.channels.socket.errors.SocketClosed` or `greenline.errors.GreenlineError`.
        """
        ...

    async def turn_away(self, start: Start, code: int, reason: str) -> None:
        """Keep the conversation of a client that was told its id, and that nobody served. Raises as `start` does."""
        ...

    def held(self, conversation_id: str) -> Watchable | None:
        """A conversation that runs in this process and may be watched."""
        ...
