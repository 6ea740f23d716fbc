"""Which work goes first where a process has more of it than it can do: what answers someone who waits.

A webhook that is late is delivered again, and with it comes what a person wrote; a turn that begins a second later is
only that. So turns are begun as fast as they don't delay what goes first: a little faster as long as all is well,
half as fast when it is not (additive increase, multiplicative decrease, as TCP finds its share of a line).
"""

from __future__ import annotations

from typing import Final

TIMES: Final = 4.0
"""How much slower than the quickest of its kind an operation is when others are in its way."""
UNNOTICED: Final = 0.005
"""Seconds that are never late. Webhooks on 64 connections hold 4,000/s up to a commit of 8 ms."""
SMOOTHING: Final = 1 / 8
"""Weight of the newest operation in the mean, as TCP smooths its round trips (RFC 6298)."""
WINDOW: Final = 30.0
"""Seconds in which the quickest is looked for, at least: a disk that became slow is the measure after twice of it."""
STALE: Final = 0.2
"""Seconds after the last operation from which on there is nothing that could be late."""


class Delay:
    """How long operations take, against the quickest of them. Times are those of the event loop, in seconds."""

    def __init__(self) -> None:
        self._mean, self._last_at = 0.0, float("-inf")
        self._quickest = self._quickest_before = float("inf")
        self._window_ends = float("-inf")

    def note(self, began: float, ended: float) -> None:
        """An operation is over."""
        if ended >= self._window_ends:
            self._quickest_before, self._quickest = self._quickest, float("inf")
            self._window_ends = ended + WINDOW
        took = ended - began
        self._mean += SMOOTHING * (took - self._mean)
        self._quickest = min(self._quickest, took)
        self._last_at = ended

    def late(self, now: float) -> bool:
        """Whether operations take much longer than one does when nothing is in its way."""
        quickest = min(self._quickest, self._quickest_before)
        return now < self._last_at + STALE and self._mean > max(UNNOTICED, TIMES * quickest)


class Share:
    """How many pieces of work may be begun at once: 1 to ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = float(most)

    @property
    def size(self) -> int:
        """Pieces of work."""
        return int(self._size)

    def adapt(self, *, late: bool) -> None:
        """To be told before each begin whether what goes first is late."""
        self._size = max(1.0, self._size / 2) if late else min(float(self._most), self._size + 1)
