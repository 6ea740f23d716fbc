"""What a call needs of the agent that speaks in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from greenline.channels.live.models import AudioOut
from greenline.channels.whatsapp.calls.store import CallRow, Line


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Why a conversation is over; ``failed`` when it broke."""

    reason: str
    failed: bool = False


class CallOut(AudioOut, Protocol):
    """Where a call's voice goes: it has a keypad too."""

    def press(self, digits: str) -> None:
        """Send keypad digits. Raises ``ValueError`` with what is wrong with them."""
        ...


class Voice(Protocol):
    """A conversation that can begin as soon as the call is accepted."""

    @property
    def conversation_id(self) -> str:
        """Its id."""
        ...

    @property
    def met_voicemail(self) -> bool:
        """Whether a machine has answered, as the agent has found out."""
        ...

    async def run(self, begun: Callable[[], None]) -> Goodbye:
        """Greet, listen and speak until the end. Cancelled when its call can't go on.

        ``begun`` is called as soon as `typed` takes something.
        """
        ...

    def hear(self, pcm: bytes, at: float | None = None) -> None:
        """16-bit PCM of 16 kHz from the person; ``at``: where it begins by their clock."""
        ...

    def digit(self, digit: str) -> None:
        """A key that the person pressed."""
        ...

    def typed(self, text: str, wamid: str | None) -> bool:
        """What the person wrote in the chat meanwhile; False if it is too late for it."""
        ...

    def end(self, reason: str) -> None:
        """The call is over: `run` returns soon."""
        ...


class CallAgents(Protocol):
    """Where the agents of calls come from."""

    async def prepare(self, row: CallRow, line: Line, out: CallOut) -> Voice:
        """The agent for a call, ready to speak into ``out``. Raises `greenline.errors.GreenlineError`."""
        ...
