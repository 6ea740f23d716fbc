"""A numbered log of everything that happened, to read, to wait on and to stream."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

from greenline.emulator.clock import Clock

KINDS: Final[dict[str, str]] = {
    "graph.request": "A Graph call was answered: method, path, version, status, error code.",
    "message.accepted": "The business's message was answered with 200.",
    "message.sent": "It left Meta's servers.",
    "message.delivered": "It is on the person's phone.",
    "message.read": "The person has read it.",
    "message.played": "The person has listened to the voice note.",
    "message.failed": "It will not arrive: `code` says why.",
    "message.dropped": "Its lifetime ended before the person came online.",
    "inbound": "The person sent something.",
    "read_receipt": "The business marked a message as read.",
    "typing": "The typing indicator went on (`on`: true) or off.",
    "person": "Somebody appeared or changed.",
    "template": "A template changed its state.",
    "webhook.attempt": "A webhook was posted: status or error, milliseconds.",
    "webhook.delivered": "The callback answered 200.",
    "webhook.failed": "The callback did not; `retry_in` says when it is tried again.",
    "webhook.given_up": "The retry schedule has ended.",
    "webhook.skipped": "There was nowhere to send an update: `reason` says what is not set up.",
    "handshake": "A callback was asked for the challenge.",
    "fault": "A fault struck.",
    "clock": "The emulator's time was moved.",
    "reset": "Everything was forgotten.",
    "error": "A fault of the emulator itself.",
}
"""Every kind of event and what it tells."""


class Journal:
    """Keeps the newest events; numbers are never used twice, not even after `forget`."""

    def __init__(self, clock: Clock, limit: int = 100_000) -> None:
        self._clock = clock
        self._events: deque[dict[str, Any]] = deque(maxlen=limit)
        self._numbers = itertools.count(1)
        self._last = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._closed = False

    @property
    def last(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._last

    def add(self, kind: str, **facts: Any) -> dict[str, Any]:
        """Record an event of one of `KINDS`."""
        self._last = next(self._numbers)
        event = {"seq": self._last, "at": round(self._clock.now(), 6), "kind": kind, **facts}
        self._events.append(event)
        self._wake()
        return event

    def after(self, seq: int, kind: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """Events newer than ``seq``, oldest first; ``kind`` may be a prefix that ends with a dot."""
        if not self._events or seq >= self._last:
            return []
        skip = max(0, seq - self._events[0]["seq"] + 1)
        found = (event for event in itertools.islice(self._events, skip, None) if _fits(event["kind"], kind))
        return list(itertools.islice(found, limit))

    async def wait_after(
        self, seq: int, seconds: float, kind: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """As `after`, but wait for the first event up to ``seconds`` of real time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not (found := self.after(seq, kind, limit)):
            left = deadline - loop.time()
            if left <= 0 or self._closed:
                return []
            await self._next(left)
        return found

    async def follow(self, seq: int, idle_seconds: float = 15.0) -> AsyncIterator[dict[str, Any] | None]:
        """Events newer than ``seq`` as they come, and None after each ``idle_seconds`` without one."""
        while not self._closed:
            found = await self.wait_after(seq, idle_seconds)
            for event in found:
                yield event
                seq = event["seq"]
            if not found:
                yield None

    def forget(self) -> None:
        """Drop the events and go on counting."""
        self._events.clear()

    def close(self) -> None:
        """End all waiting, for the end of the process."""
        self._closed = True
        self._wake()

    async def _next(self, seconds: float) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def _fits(kind: str, wanted: str | None) -> bool:
    return wanted is None or kind == wanted or (wanted.endswith(".") and kind.startswith(wanted))
