"""How listeners are told of an answer: what the model thinks, the text piece by piece, and at last the whole."""

from __future__ import annotations

from collections.abc import Callable

from greenline.channels.live.models import (
    AgentResponse,
    AgentTyping,
    LiveEvent,
    ReasoningPart,
    ResponsePart,
    TentativeResponse,
)
from greenline.ids import new_id


class Telling:
    """Tells of one answer. What it tells is kept back until `release`: the answer is a guess before."""

    def __init__(self, event_id: int, tell: Callable[[LiveEvent], None]) -> None:
        self._event_id = event_id
        self._tell = tell
        self._kept: list[LiveEvent] | None = []
        self._response_id = ""
        self._thinking = False
        self._typing = False
        self.begun = False
        """Whether there was text, of the model or not."""
        self.partial = ""
        """The text under way."""

    def tell(self, event: LiveEvent) -> None:
        """Anything else about the answer."""
        if self._kept is None:
            self._tell(event)
        else:
            self._kept.append(event)

    def release(self) -> None:
        """The answer is no guess any more."""
        kept, self._kept = self._kept or [], None
        for event in kept:
            self._tell(event)

    def works(self) -> None:
        """Who reads sees that the agent is at work, until there is text."""
        if not self._typing:
            self._typing = True
            self.tell(AgentTyping(is_typing=True))

    def rests(self) -> None:
        """There is something to read, or nothing will come."""
        if self._typing:
            self._typing = False
            self.tell(AgentTyping(is_typing=False))

    def thinks(self, text: str) -> None:
        """A piece of what the model thinks."""
        if not self._thinking:
            self._thinking = True
            self.tell(ReasoningPart(self._event_id, "", "start"))
        self.tell(ReasoningPart(self._event_id, text, "delta"))

    def has_thought(self) -> None:
        """What it thinks ends, if it thought."""
        if self._thinking:
            self._thinking = False
            self.tell(ReasoningPart(self._event_id, "", "stop"))

    def says(self, text: str) -> None:
        """A piece of text."""
        self.has_thought()
        self.rests()
        self.begun = True
        if not self.partial:
            self._response_id = new_id("resp")
            self.tell(ResponsePart(self._event_id, "", "start", self._response_id))
        self.partial += text
        self.tell(ResponsePart(self._event_id, text, "delta", self._response_id))

    def would_say(self, text: str) -> None:
        """The whole of a text that is still a guess: that much is told of it."""
        if self._kept is not None:
            self._tell(TentativeResponse(text))

    def has_said(self, text: str) -> None:
        """The text under way ends; ``text`` is the whole of it."""
        if self.partial:
            self.tell(ResponsePart(self._event_id, "", "stop", self._response_id))
        if text:
            self.tell(AgentResponse(self._event_id, text, self._response_id))
        self.partial = ""
