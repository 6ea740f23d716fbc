"""The numbered log of everything that happens, for the phone page, for tests and for people."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from greenline.emulator.clock import MovableClock

KEPT: Final = 50_000
KINDS: Final = {
    "graph.request": "a call of the Graph API, with its answer's status",
    "message.accepted": "a message of the business was accepted",
    "message.sent": "it left Meta",
    "message.delivered": "it reached the person's phone",
    "message.read": "the person read it",
    "message.played": "the person played it, a voice note, for the first time",
    "message.failed": "it failed, with Meta's error",
    "inbound": "a person did something: wrote, tapped, reacted",
    "webhook.attempt": "a delivery to the callback was tried, with its result",
    "webhook.delivered": "the callback took a delivery",
    "webhook.lost": "a fault lost a delivery before its first attempt",
    "webhook.given_up": "the last attempt failed",
    "read_receipt": "the business marked a message as read",
    "typing": "the business shows that it is typing",
    "template": "a template changed its state",
    "template.quality": "people's feedback changed the quality of a template",
    "messaging_limit": "the portfolio may write to more people first",
    "throughput": "a number may send more messages a second",
    "feedback": "a person reported the business, or stopped or resumed its marketing",
    "fault": "a fault was set or acted",
    "call.began": "a person calls the business, or the business a person",
    "call.accepted": "the call was taken: the person hears the business from now on",
    "call.ended": "the call is over, with who ended it",
    "call.permission_questioned": "a person who did not take two calls in a row is asked whether there may be more",
    "clock": "the clock was moved",
}


class Journal:
    """Events with rising numbers; readers wait for the next ones."""

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self._events: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._seq = 0
        self._more = asyncio.Event()

    @property
    def last(self) -> int:
        """The number of the newest event."""
        return self._seq

    def add(self, kind: str, **data: Any) -> dict[str, Any]:
        """Log an event of one of `KINDS`."""
        if kind not in KINDS:
            raise ValueError(f"no event kind {kind}")
        self._seq += 1
        event = {"seq": self._seq, "at": self._clock.now(), "kind": kind, **data}
        self._events.append(event)
        more, self._more = self._more, asyncio.Event()
        more.set()
        return event

    def after(self, seq: int, kind: str | None = None) -> list[dict[str, Any]]:
        """Events with a higher number."""
        return [event for event in self._events if event["seq"] > seq and kind in (None, event["kind"])]

    async def wait(self, seq: int, seconds: float) -> list[dict[str, Any]]:
        """Events with a higher number; waits at most ``seconds`` for the first."""
        if self._seq <= seq and seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._more.wait()
            except TimeoutError:
                return []
        return self.after(seq)
