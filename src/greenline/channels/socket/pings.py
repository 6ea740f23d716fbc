"""Pings of the protocol, by which client and server learn how long a message takes (reference: ping)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from greenline.channels.socket.server_messages import Frame, ping

PING_SECONDS: Final = 3.0
"""The reference documents no interval; this notices a change of network within a sentence or two."""
_REMEMBERED: Final = 20


class Pings:
    """Makes pings and measures by the answers. ``now`` gives seconds of a clock that never jumps."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._sent: OrderedDict[int, float] = OrderedDict()
        self._last_id = 0
        self.milliseconds: int | None = None
        """The newest measured round trip."""

    def next(self) -> Frame:
        """The next ping to send."""
        self._last_id += 1
        self._sent[self._last_id] = self._now()
        while len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        return ping(self._last_id, self.milliseconds)

    def answered(self, event_id: int) -> None:
        """A pong came. One for an unknown ping says nothing."""
        sent_at = self._sent.pop(event_id, None)
        if sent_at is not None:
            self.milliseconds = max(0, round((self._now() - sent_at) * 1000))
